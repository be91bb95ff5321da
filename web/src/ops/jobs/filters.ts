/** Which jobs are meant: out of the address bar, into it, and as the API wants it said. */
import type { BulkRequest, JobState } from '../../api/types';
import { exact } from '../../format/when';
import { lookOfState } from '../states';
import { words } from '../text';

export const STATES: readonly JobState[] = ['queued', 'running', 'succeeded', 'failed', 'cancelled'];
export const QUEUES = ['ingest', 'detect', 'render', 'housekeeping', 'webhook'] as const;
export const SPANS: readonly { value: string; seconds: number }[] = [
  { value: '1h', seconds: 3600 },
  { value: '24h', seconds: 86_400 },
  { value: '7d', seconds: 604_800 },
];
/** Of `whose`: without it, only the jobs of owners. */
export const WHOSE = ['system', 'all'] as const;
/** Of `since`: the two times are given. */
export const CHOSEN = 'chosen';

const NAMES = [
  'q',
  'status',
  'owner',
  'whose',
  'queue',
  'kind',
  'code',
  'recording',
  'clip',
  'since',
  'after',
  'before',
] as const;
type Name = (typeof NAMES)[number];

/** What the reader asked for, as it stands in the address; empty where it does not matter. */
export type Filters = Record<Name, string>;

/** What the API's search and its actions take. */
export interface Conditions {
  id?: string;
  owner?: string;
  is_system?: boolean;
  queue?: string;
  kind?: string;
  status?: JobState;
  error_code?: string;
  recording_id?: string;
  clip_id?: string;
  created_after?: string;
  created_before?: string;
  q?: string;
}

const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text.trim());
}

export function readFilters(query: URLSearchParams): Filters {
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ''])) as Filters;
}

/** The query of an address that asks for this; what does not matter is left out. */
export function toQuery(filters: Partial<Filters>): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of NAMES) {
    const value = filters[name]?.trim();
    if (value) query.set(name, value);
  }
  return query;
}

/** How many conditions narrow the search; the two chosen times count as one. */
export function countFilters(filters: Filters): number {
  return NAMES.filter((name) => {
    if (name === 'after' || name === 'before') return false;
    return name === 'whose' ? filters.whose === 'system' : filters[name];
  }).length;
}

/** What is wrong with an entry, by its name, in words; empty when nothing is. */
export function problems(filters: Filters): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const name of ['recording', 'clip'] as const) {
    if (filters[name] && !isUuid(filters[name])) found[name] = words.jobs.wrong[name];
  }
  if (filters.owner && !isUuid(filters.owner) && !filters.owner.includes('@')) {
    found.owner = words.jobs.wrong.owner;
  }
  if (filters.since === CHOSEN && filters.after && filters.before && filters.after >= filters.before) {
    found.before = words.jobs.wrong.before;
  }
  return found;
}

/** What the API is asked at `now` (ms). Entries with problems ask for nothing that fits, not for everything. */
export function toConditions(filters: Filters, now: number): Conditions {
  const conditions: Conditions = {};
  const q = filters.q.trim();
  if (isUuid(q)) conditions.id = q;
  else if (q) conditions.q = q;
  const owner = filters.owner.trim();
  if (owner) conditions.owner = owner;
  else if (filters.whose === 'system') conditions.is_system = true;
  else if (filters.whose !== 'all' && !conditions.id) conditions.is_system = false;
  if (filters.queue) conditions.queue = filters.queue;
  if (filters.kind) conditions.kind = filters.kind.trim();
  if (isState(filters.status)) conditions.status = filters.status;
  if (filters.code) conditions.error_code = filters.code.trim();
  if (filters.recording) conditions.recording_id = filters.recording.trim();
  if (filters.clip) conditions.clip_id = filters.clip.trim();
  return { ...conditions, ...times(filters, now) };
}

function times(filters: Filters, now: number): Pick<Conditions, 'created_after' | 'created_before'> {
  const span = SPANS.find((each) => each.value === filters.since);
  if (span) return { created_after: new Date(now - span.seconds * 1000).toISOString() };
  if (filters.since !== CHOSEN) return {};
  return {
    ...(filters.after ? { created_after: filters.after } : {}),
    ...(filters.before ? { created_before: filters.before } : {}),
  };
}

function isState(text: string): text is JobState {
  return (STATES as readonly string[]).includes(text);
}

/** The same conditions, or these ids, for an action on all that match. */
export function toSelection(
  conditions: Conditions,
  ids: readonly string[],
): Pick<BulkRequest, 'ids' | 'filter'> {
  if (ids.length > 0) return { ids: [...ids] };
  const { id, ...filter } = conditions;
  return {
    ...(id ? { ids: [id] } : {}),
    ...(Object.keys(filter).length > 0 ? { filter } : {}),
  };
}

/** The conditions in words, for a question that has to be understood before it is answered. */
export function inWords(filters: Filters): string[] {
  const { inWords: names, spans, ofSystem } = words.jobs;
  const found: [string, string][] = [
    [isUuid(filters.q) ? names.id : names.error, filters.q],
    [names.state, isState(filters.status) ? lookOfState(filters.status).word : ''],
    [names.owner, filters.owner],
    [names.whose, filters.whose === 'system' ? ofSystem : ''],
    [names.queue, filters.queue],
    [names.kind, filters.kind],
    [names.code, filters.code],
    [names.recording, filters.recording],
    [names.clip, filters.clip],
    [names.since, spans[filters.since] ?? ''],
    [names.after, filters.since === CHOSEN && filters.after ? exact(Date.parse(filters.after)) : ''],
    [names.before, filters.since === CHOSEN && filters.before ? exact(Date.parse(filters.before)) : ''],
  ];
  return found.filter(([, value]) => value).map(([name, value]) => `${name} ${value}`);
}
