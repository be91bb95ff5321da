/** Who is signed in, by the session's cookie; scripts never see the token. */
import { ApiError, call } from '../api/client';
import type { Account } from '../api/types';

class Session {
  /** `unknown` until the API has said who the cookie belongs to. */
  state = $state<'unknown' | 'out' | 'in'>('unknown');
  account = $state.raw<Account | null>(null);
  /** Whether somebody was signed in and is no longer. */
  hasEnded = $state(false);

  /** Ask whose cookie this is. ApiError when the API does not answer. */
  async restore(): Promise<void> {
    try {
      this.#enter(await call('get', '/api/me'));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.state = 'out';
    }
  }

  /** ApiError says why not, in words for the person. */
  async signIn(email: string, password: string): Promise<void> {
    this.#enter(await call('post', '/api/auth/login', { body: { email, password, cookie: true } }));
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

  /** Note what a failed request tells of the session; returns the error. */
  heed(error: unknown): unknown {
    if (error instanceof ApiError && error.status === 401 && this.state === 'in') {
      this.#leave();
      this.hasEnded = true;
    }
    return error;
  }

  #enter(account: Account): void {
    this.account = account;
    this.state = 'in';
    this.hasEnded = false;
  }

  #leave(): void {
    this.account = null;
    this.state = 'out';
  }
}

export const session = new Session();
