import type en from '../en/recording';

export default {
  sensitivity: 'Empfindlichkeit',
  strictness: (value: number): string => {
    if (value < 0.6) return 'viele Momente';
    if (value < 0.8) return 'ausgewogen';
    return 'nur Spitzen';
  },
} satisfies typeof en;
