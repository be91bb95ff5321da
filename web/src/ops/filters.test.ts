import { describe, expect, it } from 'vitest';
import {
  CHOSEN,
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
    expect(toConditions(asked({ q: 'moov' }), NOW)).toEqual({ q: 'moov' });
  });

  it('tells an owner’s id from an address', () => {
    expect(toConditions(asked({ owner: ID }), NOW)).toEqual({ owner: ID });
    expect(toConditions(asked({ owner: 'Ada@example.com' }), NOW)).toEqual({ owner: 'Ada@example.com' });
  });

  it('counts a span back from now', () => {
    expect(toConditions(asked({ since: '1h' }), NOW)).toEqual({ created_after: '2026-01-31T11:00:00.000Z' });
  });

  it('heeds chosen times only while they are chosen', () => {
    const times = { after: '2026-01-30T00:00:00.000Z', before: '' };
    expect(toConditions(asked({ since: CHOSEN, ...times }), NOW)).toEqual({ created_after: times.after });
    expect(toConditions(asked(times), NOW)).toEqual({});
  });

  it('takes no state that there is not', () => {
    expect(toConditions(asked({ status: 'exploded' }), NOW)).toEqual({});
  });
});

describe('an action on all that match', () => {
  it('is for the same jobs as the search', () => {
    const conditions = toConditions(asked({ q: 'moov', status: 'failed', kind: 'render' }), NOW);
    expect(toSelection(conditions, [])).toEqual({
      filter: { q: 'moov', status: 'failed', kind: 'render' },
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
    expect(toSelection(toConditions(asked({}), NOW), [])).toEqual({});
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
    'state dead',
    'kind render',
    'created in the last hour',
  ]);
});
