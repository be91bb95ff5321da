/** Every page of the app: its address, the frame around it, and the code that draws it, loaded when it is needed. */
import type { Component } from 'svelte';

/** `app`: sidebar and a column. `workbench`: icons and the whole window. `site`: the front. `door`: a card alone. */
export type Frame = 'app' | 'workbench' | 'site' | 'door';

/** What the braces of the address stand for; a page takes them as properties. */
export type Params = Record<string, string>;

export interface Route {
  /** `:name` stands for one part of the address. */
  path: string;
  frame: Frame;
  /** Whether somebody who is not logged in is led to the login first. */
  isPrivate: boolean;
  load: () => Promise<{ default: Component<Params> }>;
}

export interface Match {
  route: Route;
  params: Params;
}

const page = (path: string, frame: Frame, load: () => Promise<unknown>, isPrivate: boolean): Route => ({
  path,
  frame,
  isPrivate,
  load: load as Route['load'],
});
const open = (path: string, frame: Frame, load: () => Promise<unknown>): Route =>
  page(path, frame, load, false);
const mine = (path: string, frame: Frame, load: () => Promise<unknown>): Route =>
  page(path, frame, load, true);

export const ROUTES: readonly Route[] = [
  open('/', 'site', () => import('../home/Front.svelte')),
  open('/signup', 'door', () => import('../account/SignUp.svelte')),
  open('/login', 'door', () => import('../account/LogIn.svelte')),
  open('/verify', 'door', () => import('../account/CheckMail.svelte')),
  open('/forgot', 'door', () => import('../account/Forgot.svelte')),
  mine('/recordings', 'app', () => import('../recordings/Recordings.svelte')),
  mine('/recordings/:id', 'workbench', () => import('../recordings/editor/Editor.svelte')),
  mine('/clips', 'app', () => import('../clips/Clips.svelte')),
  mine('/spaces', 'app', () => import('../rooms/lobby/Spaces.svelte')),
  open('/spaces/:code', 'workbench', () => import('../rooms/Space.svelte')),
  mine('/settings', 'app', () => import('../settings/Settings.svelte')),
  mine('/settings/:part', 'app', () => import('../settings/Settings.svelte')),
  mine('/analytics', 'app', () => import('../analytics/Analytics.svelte')),
  open('/pricing', 'site', () => import('../billing/Pricing.svelte')),
  mine('/subscription', 'app', () => import('../billing/Subscription.svelte')),
  mine('/subscription/success', 'app', () => import('../billing/Success.svelte')),
];

/** The start of somebody who is logged in; it has the address of the front page. */
export const DESK: Route = mine('/', 'app', () => import('../home/Desk.svelte'));
export const NOWHERE: Route = open('*', 'site', () => import('./shell/Nowhere.svelte'));

/** The page of an address, and what the parts of the address are called. */
export function matching(path: string, routes: readonly Route[] = ROUTES): Match | undefined {
  const parts = split(path);
  for (const route of routes) {
    const params = fit(split(route.path), parts);
    if (params) return { route, params };
  }
  return undefined;
}

function split(path: string): string[] {
  return path.split('/').filter(Boolean);
}

function fit(pattern: string[], parts: string[]): Params | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Params = {};
  for (const [place, wanted] of pattern.entries()) {
    const part = parts[place] ?? '';
    if (!wanted.startsWith(':')) {
      if (wanted !== part) return undefined;
      continue;
    }
    try {
      params[wanted.slice(1)] = decodeURIComponent(part);
    } catch {
      return undefined;
    }
  }
  return params;
}
