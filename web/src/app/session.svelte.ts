/** Who is signed in: by the session's cookie on the same site, by a token in memory from another one. */
import { ApiError, call, cookie, CSRF_COOKIE, isSameSite, send, setBearer } from '../api/client';
import type { Account, ProfileChange } from '../api/types';

/** What a sign-up or login answers with; the token only where no cookie holds it. */
interface Begun {
  user: Account;
  token?: string;
}

class Session {
  /** `unknown` until the API has said whose session this is. */
  state = $state<'unknown' | 'out' | 'in'>(mayHaveSession() ? 'unknown' : 'out');
  account = $state.raw<Account | null>(null);
  /** Whether somebody was signed in and is no longer. */
  hasEnded = $state(false);

  /** Ask whose session this is. ApiError when the API does not answer. */
  async restore(): Promise<void> {
    if (this.state === 'out') return;
    try {
      this.#enter(await call('get', '/api/me'));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.state = 'out';
    }
  }

  /** Ask again, after something about the account has changed. */
  async refresh(): Promise<void> {
    this.account = await call('get', '/api/me');
  }

  /** ApiError says why not, in words for the person. */
  async signIn(email: string, password: string, code?: string): Promise<void> {
    const body = { email, password, cookie: isSameSite, ...(code ? { code } : {}) };
    this.#admit(await send('post', '/api/auth/login', { body }));
  }

  /** Log in by what a passkey has answered to the API's challenge. */
  async signInByPasskey(credential: unknown): Promise<void> {
    const body = { credential, cookie: isSameSite };
    this.#admit(await send('post', '/api/auth/passkey/login', { body }));
  }

  /** Make an account. `check_mail` where the address has to be confirmed before the first session. */
  async signUp(email: string, password: string, name: string): Promise<'in' | 'check_mail'> {
    const body = { email, password, display_name: name, cookie: isSameSite };
    const answer = await send('post', '/api/auth/signup', { body });
    if (!isBegun(answer)) return 'check_mail';
    this.#admit(answer);
    return 'in';
  }

  /** End the session. The page forgets it whatever the API says. */
  async signOut(): Promise<void> {
    try {
      await call('post', '/api/auth/logout');
    } finally {
      this.#leave();
      this.hasEnded = false;
    }
  }

  /** Change something about the account; ApiError. */
  async change(changes: Partial<ProfileChange>): Promise<Account> {
    this.account = await call('patch', '/api/me', { body: { keep_api_keys: true, ...changes } });
    return this.account;
  }

  /** The account is gone, and its session with it. */
  forget(): void {
    this.#leave();
  }

  /** Note what a failed request tells of the session; returns the error. */
  heed(error: unknown): unknown {
    if (error instanceof ApiError && error.status === 401 && this.state === 'in') {
      this.#leave();
      this.hasEnded = true;
    }
    return error;
  }

  #admit(answer: unknown): void {
    const { token, user } = answer as Begun;
    if (!isSameSite && token) setBearer(token);
    this.#enter(user);
  }

  #enter(account: Account): void {
    this.account = account;
    this.state = 'in';
    this.hasEnded = false;
  }

  #leave(): void {
    setBearer('');
    this.account = null;
    this.state = 'out';
  }
}

/** The cookie of the session is hidden from scripts; the one that comes with it is not. */
function mayHaveSession(): boolean {
  return isSameSite && cookie(CSRF_COOKIE, document.cookie) !== '';
}

function isBegun(value: unknown): value is Begun {
  return typeof value === 'object' && value !== null && 'user' in value;
}

export const session = new Session();
