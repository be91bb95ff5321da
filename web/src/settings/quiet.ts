/** How often lists of the settings load again: they change by hand. */
export const QUIET_MS = 30_000;
