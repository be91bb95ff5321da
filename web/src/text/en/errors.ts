/** What the API says of errors in other languages than its own: English pages show its own sentences. */
export type Details = Record<string, unknown>;
export type Said = string | ((details: Details) => string);

export interface Cause {
  message: string;
  remedy: string;
}

export default {
  /** By `details.reason`, which says more than the code. */
  reasons: {} as Record<string, Said>,
  /** By the field that was refused. */
  fields: {} as Record<string, Said>,
  /** By the error's code. */
  codes: {} as Record<string, Said>,
  /** Why work on a recording or clip failed, by the code of its error. */
  causes: {} as Record<string, Cause>,
  stream: (n: number) => `stream ${n}`,
  at: (seconds: string) => `at ${seconds} s`,
};
