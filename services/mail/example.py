"""An example of each mail, for previews of the templates."""

from datetime import UTC, datetime, timedelta

from services.mail.message import (
    ClipsReady,
    ConfirmEmail,
    EmailChanged,
    ExportReady,
    Mail,
    NewSignInMethod,
    PasswordChanged,
    PasswordReset,
    PaymentFailed,
    SignupKnown,
    SubscriptionEnded,
    TrialEnding,
    Verification,
    WebhookDisabled,
    WithdrawalConfirmed,
    kind_of,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOKEN = "an-example-is-no-token"  # noqa: S105 - it opens nothing
EXAMPLES: dict[str, Mail] = {
    kind_of(mail): mail
    for mail in (
        Verification(),
        SignupKnown(),
        PasswordReset(),
        PasswordChanged(),
        ConfirmEmail(),
        EmailChanged(new_email="ada@example.org"),
        NewSignInMethod(method="passkey", name="Laptop"),
        TrialEnding(tier="Premium", ends_at=NOW + timedelta(days=3), amount_cents=999, currency="usd", will_renew=True),
        PaymentFailed(
            tier="Premium",
            amount_cents=999,
            currency="usd",
            grace_ends_at=NOW + timedelta(days=7),
            next_attempt_at=NOW + timedelta(days=3),
        ),
        SubscriptionEnded(tier="Premium"),
        WithdrawalConfirmed(tier="Pro", received_at=NOW, refund_cents=1999, currency="usd"),
        ExportReady(expires_at=NOW + timedelta(days=7)),
        ClipsReady(recording_title="Friday talk", recording_id="0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e", clips=5),
        WebhookDisabled(host="example.org", reason="It did not answer for three days."),
    )
}
