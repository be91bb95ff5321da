/** One thing after the other, a few at once; what fails does not stop the others. */

const AT_ONCE = 4;

export interface Outcome {
  done: number;
  problems: unknown[];
}

export async function forEach<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<Outcome> {
  const waiting = [...items];
  const outcome: Outcome = { done: 0, problems: [] };
  const lane = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      try {
        await work(item);
        outcome.done += 1;
      } catch (error) {
        outcome.problems.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return outcome;
}
