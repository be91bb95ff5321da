import { count } from '../../../format/when';

/** `1 Job`, `2 Jobs`. */
export const some = (n: number, one: string, many: string): string => `${count(n)} ${n === 1 ? one : many}`;
export const jobs = (n: number): string => some(n, 'Job', 'Jobs');
