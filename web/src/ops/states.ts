/** Words and tones for what jobs, workers and deliveries are doing. */
import type { Delivery, Job, JobState, OperatorRoom, StripeEvent, Worker } from '../api/types';
import { words } from './text';
import type { Tone } from './ui/Badge.svelte';

/** A worker writes every five seconds; one that has missed four is not counted on. */
export const SILENT_MS = 20_000;

export interface Look {
  word: string;
  tone: Tone;
}

const STATES: Record<JobState, Tone> = {
  queued: 'plain',
  running: 'busy',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'plain',
};

function look(state: string, tone: Tone): Look {
  return { word: words.states[state] ?? state, tone };
}

export function lookOfState(state: JobState): Look {
  return look(state, STATES[state]);
}

/** A queued job that had begun waits for its next attempt; one that is being stopped says so. */
export function lookOfJob(
  job: Pick<Job, 'status' | 'attempt' | 'cancel_requested' | 'run_at'>,
  now: number,
): Look {
  if (job.status === 'running' && job.cancel_requested) return look('stopping', 'warn');
  if (job.status === 'queued' && job.attempt > 0) return look('retrying', 'warn');
  if (job.status === 'queued' && Date.parse(job.run_at) > now) return look('scheduled', 'plain');
  return lookOfState(job.status);
}

export function lookOfWorker(worker: Worker, now: number): Look {
  if (now - Date.parse(worker.heartbeat_at) > SILENT_MS) return look('silent', 'bad');
  if (worker.is_draining) {
    return look(worker.jobs.length > 0 ? 'draining' : 'drained', 'warn');
  }
  return worker.jobs.length > 0 ? look('working', 'busy') : look('idle', 'good');
}

const DELIVERIES: Record<Delivery['status'], Tone> = { pending: 'busy', delivered: 'good', failed: 'bad' };

export function lookOfDelivery(status: Delivery['status']): Look {
  return look(status, DELIVERIES[status]);
}

const EVENTS: Record<StripeEvent['status'], Tone> = {
  waiting: 'busy',
  processed: 'good',
  ignored: 'plain',
  failed: 'bad',
};

export function lookOfEvent(status: StripeEvent['status']): Look {
  return look(status, EVENTS[status]);
}

export function lookOfRoom(status: OperatorRoom['status']): Look {
  return look(status, status === 'active' ? 'good' : 'plain');
}

const SUBSCRIPTIONS: Record<string, Tone> = { active: 'good', trialing: 'busy', canceled: 'plain' };

export function lookOfSubscription(status: string): Look {
  return { word: words.users.subscription[status] ?? status, tone: SUBSCRIPTIONS[status] ?? 'bad' };
}
