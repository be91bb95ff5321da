import type en from '../en/recordings';

export default {
  title: 'Aufnahmen',
  empty: {
    title: 'Noch nichts zu hören',
    text: 'Leg eine Aufnahme hinein, dann wacht der Bär auf.',
  },
} satisfies typeof en;
