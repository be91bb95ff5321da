DROP TABLE exports, passkeys, recovery_codes, totp_secrets;
