/** What the browser does with passkeys. */

/** Whether this browser can make and use passkeys from what the API sends. They belong to a name, not to a number. */
export const knowsPasskeys =
  typeof PublicKeyCredential === 'function' &&
  'parseRequestOptionsFromJSON' in PublicKeyCredential &&
  !/^[\d.]+$|:/.test(window.location.hostname);

/** Let the browser make a passkey; null when the person does not want to after all. */
export async function makePasskey(options: unknown): Promise<Record<string, unknown> | null> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as PublicKeyCredentialCreationOptionsJSON,
  );
  return await unlessDeclined(async () => navigator.credentials.create({ publicKey }));
}

/** Let the browser prove that its person has a passkey; null when they do not want to after all. */
export async function usePasskey(options: unknown): Promise<Record<string, unknown> | null> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as PublicKeyCredentialRequestOptionsJSON,
  );
  return await unlessDeclined(async () => navigator.credentials.get({ publicKey }));
}

async function unlessDeclined(
  ask: () => Promise<Credential | null>,
): Promise<Record<string, unknown> | null> {
  try {
    const credential = await ask();
    return credential instanceof PublicKeyCredential
      ? (credential.toJSON() as Record<string, unknown>)
      : null;
  } catch (error) {
    if (error instanceof DOMException && ['NotAllowedError', 'AbortError'].includes(error.name)) return null;
    throw error;
  }
}
