import { describe, expect, it } from 'vitest';
import {
  CHOSEN,
  countFilters,
  inWords,
  problems,
  readFilters,
  toConditions,
  toQuery,
  toSelection,
  type Filters,
} from './filters';

const ID = '0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e';
const NOW = Date.parse('2026-01-31T12:00:00Z');
const asked = (filters: Partial<Filters>): Filters => readFilters(toQuery(filters));

describe('the address', () => {
  it('carries every condition there and back', () => {
    const given = {
      q: 'moov & more',
      status: 'failed',
      owner: 'ada@example.com',
      whose: 'all',
      queue: 'render',
      kind: 'render',
      code: 'decode_failed',
      recording: ID,
      clip: ID,
      since: CHOSEN,
      after: '2026-01-30T00:00:00.000Z',
      before: '2026-01-31T00:00:00.000Z',
    };
    expect(readFilters(new URLSearchParams(toQuery(given).toString()))).toEqual(given);
  });

  it('leaves out what does not matter', () => {
    expect(toQuery({ q: '  ', status: '', kind: 'render' }).toString()).toBe('kind=render');
  });
});

describe('what the API is asked', () => {
  it('looks for an id where one was typed, and for words elsewhere', () => {
    expect(toConditions(asked({ q: ID }), NOW)).toEqual({ id: ID });
    expect(toConditions(asked({ q: 'moov' }), NOW)).toEqual({ q: 'moov', is_system: false });
  });

  it('tells an owner’s id from an address', () => {
    expect(toConditions(asked({ owner: ID }), NOW)).toEqual({ owner: ID });
    expect(toConditions(asked({ owner: 'Ada@example.com' }), NOW)).toEqual({ owner: 'Ada@example.com' });
  });

  it('counts a span back from now', () => {
    expect(toConditions(asked({ since: '1h' }), NOW)).toEqual({
      created_after: '2026-01-31T11:00:00.000Z',
      is_system: false,
    });
  });

  it('heeds chosen times only while they are chosen', () => {
    const times = { after: '2026-01-30T00:00:00.000Z', before: '' };
    const all = { whose: 'all' };
    const found = toConditions(asked({ ...all, since: CHOSEN, ...times }), NOW);
    expect(found).toEqual({ created_after: times.after });
    expect(toConditions(asked({ ...all, ...times }), NOW)).toEqual({});
  });

  it('leaves the system’s own jobs out, unless they are asked for', () => {
    expect(toConditions(asked({}), NOW)).toEqual({ is_system: false });
    expect(toConditions(asked({ whose: 'system' }), NOW)).toEqual({ is_system: true });
    expect(toConditions(asked({ whose: 'all' }), NOW)).toEqual({});
    expect([countFilters(asked({ whose: 'all' })), countFilters(asked({ whose: 'system' }))]).toEqual([0, 1]);
  });

  it('takes no state that there is not', () => {
    expect(toConditions(asked({ status: 'exploded', whose: 'all' }), NOW)).toEqual({});
  });
});

describe('an action on all that match', () => {
  it('is for the same jobs as the search', () => {
    const conditions = toConditions(asked({ q: 'moov', status: 'failed', kind: 'render' }), NOW);
    expect(toSelection(conditions, [])).toEqual({
      filter: { q: 'moov', status: 'failed', kind: 'render', is_system: false },
    });
  });

  it('is for chosen jobs and nothing else where some are chosen', () => {
    expect(toSelection(toConditions(asked({ kind: 'render' }), NOW), [ID])).toEqual({ ids: [ID] });
  });

  it('is for one job where its id was searched for, and other conditions still hold', () => {
    expect(toSelection(toConditions(asked({ q: ID }), NOW), [])).toEqual({ ids: [ID] });
    const both = toSelection(toConditions(asked({ q: ID, status: 'failed' }), NOW), []);
    expect(both).toEqual({ ids: [ID], filter: { status: 'failed' } });
  });

  it('says nothing at all where nothing was asked, which the service refuses', () => {
    expect(toSelection(toConditions(asked({ whose: 'all' }), NOW), [])).toEqual({});
  });
});

describe('entries that cannot be meant', () => {
  it('are named, each with what is expected', () => {
    expect(Object.keys(problems(asked({ owner: 'ada', recording: 'x', clip: 'y' }))).sort()).toEqual([
      'clip',
      'owner',
      'recording',
    ]);
    const turned = { since: CHOSEN, after: '2026-01-31T00:00:00.000Z', before: '2026-01-30T00:00:00.000Z' };
    expect(Object.keys(problems(asked(turned)))).toEqual(['before']);
    expect(problems(asked({ owner: ID, recording: ID }))).toEqual({});
  });
});

it('says the conditions as the page shows them', () => {
  expect(inWords(asked({ status: 'failed', kind: 'render', since: '1h' }))).toEqual([
    'state failed',
    'kind render',
    'created in the last hour',
  ]);
});
