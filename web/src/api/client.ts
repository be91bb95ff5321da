/** The one way to the API: typed by its OpenAPI document, with the session's cookie and its CSRF token. */
import { language } from '../text';
import type { paths } from './schema';

type Method = 'get' | 'post' | 'patch' | 'delete';

/** The addresses that take a method. */
type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never;
}[keyof paths];

type Operation<P extends keyof paths, M extends Method> = paths[P] extends Record<M, infer O> ? O : never;

type Json<R> = R extends { content: { 'application/json': infer A } } ? A : never;

/** What an operation answers with when it worked: the `data` of the envelope. */
type Data<O> = O extends { responses: infer R }
  ? Json<R[keyof R & (200 | 201 | 202)]> extends { data: infer D }
    ? D
    : never
  : never;

type Query<O> = O extends { parameters: { query?: infer Q } } ? Q : never;
type Path<O> = O extends { parameters: { path: infer P } } ? P : never;
type Body<O> = O extends { requestBody?: { content: { 'application/json': infer B } } } ? B : never;

export interface Request<O> {
  /** What stands in the braces of the address. */
  path?: Path<O>;
  query?: Query<O> | undefined;
  body?: Body<O>;
  signal?: AbortSignal | undefined;
  /** The same key for the same intent: what was accepted once is not done twice. */
  idempotencyKey?: string;
}

/** A request that was refused, or that nobody answered (`status` 0). The message is for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    message: string,
    readonly code: string,
    readonly status: number,
    readonly isRetryable = false,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }

  /** The field of the request that was refused, if one was. */
  get field(): string | undefined {
    return typeof this.details['field'] === 'string' ? this.details['field'] : undefined;
  }
}

/** Where the API is: the site itself, or another one where the pages are deployed apart from it. */
export const API_ORIGIN = (import.meta.env.VITE_API_BASE_URL ?? '').replace(/\/+$/, '');
export const isSameSite = API_ORIGIN === '';

/** The token of a session on another site; held in memory alone. */
let bearer = '';
export function setBearer(token: string): void {
  bearer = token;
}
export function bearerToken(): string {
  return bearer;
}

/** The address of something under the API, for links, images and streams. */
export function apiUrl(path: string): string {
  return API_ORIGIN + path;
}

/** Where a file behind the API is, for players and downloads: a link of another site carries no token, so it is asked for. */
export async function fileUrl(path: string): Promise<string> {
  if (isSameSite) return path;
  const abort = new AbortController();
  const headers = { Authorization: `Bearer ${bearer}` };
  const response = await reach(apiUrl(path), { headers, credentials: 'omit', signal: abort.signal });
  if (!response.ok) await opened(response);
  // The signed address that it led to; the file itself is not wanted here.
  abort.abort();
  return response.url;
}

/** A file of the API, fetched with the session of whichever site; ApiError when there is none. */
export async function file(path: string): Promise<Blob> {
  const headers: Record<string, string> = bearer ? { Authorization: `Bearer ${bearer}` } : {};
  const credentials = isSameSite ? 'same-origin' : 'omit';
  const response = await reach(apiUrl(path), { headers, credentials });
  if (!response.ok) await opened(response);
  return await response.blob();
}

export const CSRF_COOKIE = 'snuggles_csrf';
const UNREACHABLE = 'The service does not answer. Check the connection; this page keeps trying.';
const UNREADABLE = 'The service gave an answer that is not its own; is something in between?';

/** Send a request; ApiError when it did not work. An aborted one ends with the signal's reason. */
export async function call<M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  request: Request<Operation<P, M>> = {},
): Promise<Data<Operation<P, M>>> {
  return (await send(method, address(path, request.path, request.query), request)) as Data<Operation<P, M>>;
}

/** Send a request to an address that the types do not know; the answer's `data`. */
export async function send(
  method: Method,
  path: string,
  request: { body?: unknown; signal?: AbortSignal | undefined; idempotencyKey?: string } = {},
): Promise<unknown> {
  // Of a sign-up, it becomes the language of the account's mails.
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': language };
  if (bearer) headers['Authorization'] = `Bearer ${bearer}`;
  else if (method !== 'get') headers['X-CSRF-Token'] = cookie(CSRF_COOKIE, document.cookie);
  if (request.body !== undefined) headers['Content-Type'] = 'application/json';
  if (request.idempotencyKey) headers['Idempotency-Key'] = request.idempotencyKey;
  const init: RequestInit = { method: method.toUpperCase(), headers };
  init.credentials = isSameSite ? 'same-origin' : 'omit';
  if (request.body !== undefined) init.body = JSON.stringify(request.body);
  if (request.signal) init.signal = request.signal;
  return await opened(await reach(apiUrl(path), init));
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch {
    init.signal?.throwIfAborted();
    throw new ApiError(UNREACHABLE, 'unreachable', 0);
  }
}

/** Take the answer out of its envelope. */
async function opened(response: Response): Promise<unknown> {
  let envelope: unknown;
  try {
    envelope = await response.json();
  } catch {
    throw new ApiError(UNREADABLE, 'unreadable', response.status);
  }
  if (isSuccess(envelope)) return envelope.data;
  if (isFailure(envelope)) {
    const { message, code, retryable, details } = envelope.error;
    throw new ApiError(message, code, response.status, retryable === true, details ?? {});
  }
  throw new ApiError(UNREADABLE, 'unreadable', response.status);
}

function isSuccess(value: unknown): value is { data: unknown } {
  return typeof value === 'object' && value !== null && 'success' in value && value.success === true;
}

function isFailure(value: unknown): value is {
  error: { code: string; message: string; retryable?: boolean; details?: Record<string, unknown> };
} {
  return (
    typeof value === 'object' &&
    value !== null &&
    'error' in value &&
    typeof value.error === 'object' &&
    value.error !== null &&
    'message' in value.error
  );
}

/** Put an address together: its braces filled, and every query value that says something. */
export function address(path: string, names: unknown = {}, query: unknown = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String((names as Record<string, unknown>)[name])),
  );
  const pairs = Object.entries(query as Record<string, unknown>).filter(
    ([, value]) => value !== undefined && value !== null && value !== '',
  );
  const search = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return search ? `${filled}?${search}` : filled;
}

/** Return a cookie's value out of `document.cookie`; empty when it is not there. */
export function cookie(name: string, cookies: string): string {
  const found = cookies.split('; ').find((each) => each.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : '';
}
