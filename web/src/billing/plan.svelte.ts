/** The reader's own subscription, for the pages of billing and the banner of every page. */
import { call } from '../api/client';
import type { CurrentPlan } from '../api/types';
import { session } from '../app/session.svelte';
import { shop } from '../app/shop.svelte';
import { usage } from '../app/usage.svelte';
import { language } from '../text';

class Plan {
  current = $state.raw<CurrentPlan>();

  /** Ask again. The banner does without when the service does not say. */
  async refresh(): Promise<void> {
    try {
      this.take(await call('get', '/api/subscription/current'));
    } catch (error) {
      session.heed(error);
    }
  }

  /** Show what a request has answered with; the account and the allowances follow from it. */
  take(current: CurrentPlan): void {
    const isOther = this.current !== undefined && this.current.tier !== current.tier;
    this.current = current;
    shop.isOpen = current.is_configured;
    if (isOther) {
      void usage.refresh();
      void session.refresh();
    }
  }

  forget(): void {
    this.current = undefined;
  }
}

export const plan = new Plan();

/** `$9.99`. */
export function money(cents: number, currency: string): string {
  const tag = language === 'de' ? 'de-DE' : 'en-US';
  return new Intl.NumberFormat(tag, {
    style: 'currency',
    currency: currency.toUpperCase(),
    minimumFractionDigits: cents % 100 === 0 ? 0 : 2,
  }).format(cents / 100);
}

/** Go to a page of the payment service. */
export function leaveFor(url: string): void {
  window.location.assign(url);
}

/** Where the payment service sends the reader back to. */
export function returnUrl(path: string): string {
  return window.location.origin + path;
}
