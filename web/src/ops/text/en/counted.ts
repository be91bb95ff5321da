import { count } from '../../../format/when';

/** `1 job`, `2 jobs`. */
export const some = (n: number, noun: string): string => `${count(n)} ${n === 1 ? noun : `${noun}s`}`;
export const jobs = (n: number): string => some(n, 'job');
