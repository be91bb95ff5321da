/** The polls of a room: an older result never replaces a newer one. */
import { address, send } from '../api/client';
import type { Poll, Results, ServerEvents } from '../api/room_events';
import { camelKeys } from '../rooms/connection/camel';

export class Polls {
  items = $state.raw<readonly Poll[]>([]);
  /** Server time minus ours, in ms. */
  #offsetMs = 0;

  active = $derived(this.items.filter((each) => each.status === 'active'));
  ended = $derived(this.items.filter((each) => each.status !== 'active'));

  /** Load what runs and what is over; what was learned meanwhile stays if it is newer. */
  async load(roomId: string): Promise<void> {
    const paths = ['active', 'history'].map((part) =>
      address(`/api/rooms/{room_id}/polls/${part}`, { room_id: roomId }),
    );
    const pages = (await Promise.all(paths.map((path) => send('get', path)))) as { items: unknown[] }[];
    for (const page of pages)
      for (const item of page.items) this.put(camelKeys(item) as Poll, { isMine: true });
  }

  listeners = {
    'poll:created': ({ poll }: ServerEvents['poll:created']): void => {
      this.put(poll);
    },
    'poll:updated': ({ poll, results }: ServerEvents['poll:updated']): void => {
      this.put({ ...poll, results });
    },
    'poll:closed': ({ poll, results }: ServerEvents['poll:closed']): void => {
      this.put({ ...poll, results });
    },
    'poll:expired': ({ poll, results }: ServerEvents['poll:expired']): void => {
      this.put({ ...poll, results });
    },
    'poll:vote-received': ({ pollId, version, totalVotes }: ServerEvents['poll:vote-received']): void => {
      this.#change(pollId, (poll) =>
        poll.results && version >= poll.results.version
          ? {
              ...poll,
              results: { ...poll.results, totalVotes, ...(poll.results.isHidden ? { version } : {}) },
            }
          : poll,
      );
    },
    'poll:results-update': ({ pollId, results }: ServerEvents['poll:results-update']): void => {
      this.results(pollId, results);
    },
  };

  /** Note a poll. What everybody is told does not know what we chose, nor what only we may see. */
  put(news: Poll, { isMine = false } = {}): void {
    this.#offsetMs = Date.parse(news.serverNow) - Date.now();
    const known = this.items.find((each) => each.id === news.id);
    const isEmptied = news.results?.totalVotes === 0;
    const poll = {
      ...news,
      yourOptionId:
        isMine || isEmptied ? news.yourOptionId : (news.yourOptionId ?? known?.yourOptionId ?? null),
      results: newer(known?.results ?? null, news.results),
    };
    this.items = [poll, ...this.items.filter((each) => each.id !== news.id)].sort(
      (a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt),
    );
  }

  /** Note results, unless newer ones are known. */
  results(pollId: string, results: Results): void {
    this.#change(pollId, (poll) => ({ ...poll, results: newer(poll.results, results) }));
  }

  chose(pollId: string, optionId: string): void {
    this.#change(pollId, (poll) => ({ ...poll, yourOptionId: optionId }));
  }

  /** Seconds until a poll ends, by the server's clock. */
  secondsLeft(poll: Poll, nowMs: number): number {
    return Math.max(0, (Date.parse(poll.endsAt) - nowMs - this.#offsetMs) / 1000);
  }

  #change(pollId: string, change: (poll: Poll) => Poll): void {
    this.items = this.items.map((each) => (each.id === pollId ? change(each) : each));
  }
}

/** The newer of two results; of the same version the one that shows more. */
export function newer(known: Results | null, news: Results | null): Results | null {
  if (!known || !news) return news ?? known;
  if (news.version === known.version) return news.isHidden && !known.isHidden ? known : news;
  return news.version > known.version ? news : known;
}
