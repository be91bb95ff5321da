/** Words and tones for what jobs, workers and deliveries are doing. */
import type { Delivery, Job, JobState, Worker } from '../api/types';
import type { Tone } from './ui/Badge.svelte';

/** A worker writes every five seconds; one that has missed four is not counted on. */
export const SILENT_MS = 20_000;

export interface Look {
  word: string;
  tone: Tone;
}

const STATES: Record<JobState, Look> = {
  queued: { word: 'queued', tone: 'plain' },
  running: { word: 'running', tone: 'busy' },
  succeeded: { word: 'succeeded', tone: 'good' },
  failed: { word: 'dead', tone: 'bad' },
  cancelled: { word: 'cancelled', tone: 'plain' },
};

export function lookOfState(state: JobState): Look {
  return STATES[state];
}

/** A queued job that had begun waits for its next attempt; one that is being stopped says so. */
export function lookOfJob(
  job: Pick<Job, 'status' | 'attempt' | 'cancel_requested' | 'run_at'>,
  now: number,
): Look {
  if (job.status === 'running' && job.cancel_requested) return { word: 'stopping', tone: 'warn' };
  if (job.status === 'queued' && job.attempt > 0) return { word: 'to be retried', tone: 'warn' };
  if (job.status === 'queued' && Date.parse(job.run_at) > now) return { word: 'scheduled', tone: 'plain' };
  return STATES[job.status];
}

export function lookOfWorker(worker: Worker, now: number): Look {
  if (now - Date.parse(worker.heartbeat_at) > SILENT_MS) return { word: 'silent', tone: 'bad' };
  if (worker.is_draining) {
    return worker.jobs.length > 0 ? { word: 'draining', tone: 'warn' } : { word: 'drained', tone: 'warn' };
  }
  return worker.jobs.length > 0 ? { word: 'working', tone: 'busy' } : { word: 'idle', tone: 'good' };
}

const DELIVERIES: Record<Delivery['status'], Look> = {
  pending: { word: 'pending', tone: 'busy' },
  delivered: { word: 'delivered', tone: 'good' },
  failed: { word: 'failed', tone: 'bad' },
};

export function lookOfDelivery(status: Delivery['status']): Look {
  return DELIVERIES[status];
}
