export default {
  sensitivity: 'Sensitivity',
  /** What a sensitivity means, in a word. */
  strictness: (value: number): string => {
    if (value < 0.6) return 'many moments';
    if (value < 0.8) return 'balanced';
    return 'only peaks';
  },
};
