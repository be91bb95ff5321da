import { count } from '../../format/when';

const some = (n: number, noun: string): string => `${count(n)} ${n === 1 ? noun : `${noun}s`}`;

export default {
  title: 'Analytics',
  period: 'Period',
  days: (n: number) => `${n} days`,
  year: 'A year',
  csv: 'Download CSV',
  figures: {
    sessions: 'Spaces opened',
    hours: 'Time together',
    people: 'People',
    messages: 'Messages',
    votes: 'Votes',
    polls: (n: string) => `in ${n} polls`,
    perSession: (n: string) => `${n} a space`,
    average: (time: string) => `${time} on average`,
  },
  chart: {
    title: 'Time in your spaces, by day',
    label: (sessions: string, time: string) => `${sessions} spaces, ${time} together`,
    point: (day: string, sessions: number, time: string) =>
      `${day}: ${count(sessions)} ${sessions === 1 ? 'space' : 'spaces'}, ${time}`,
    none: 'No space was opened in this time.',
  },
  busy: {
    title: 'Busiest hours',
    label: 'When people write, by weekday and hour',
    none: 'Nobody has written yet.',
    most: (day: string, hour: string, messages: string) => `Most on ${day} at ${hour}: ${messages} messages`,
    cell: (day: string, hour: string, messages: string) => `${day}, ${hour}: ${messages} messages`,
  },
  clips: {
    title: 'Clips seen most',
    clip: 'Clip',
    views: 'Views',
    shares: 'Shares',
    seen: (n: number): string => (n === 1 ? 'view' : 'views'),
    shared: (n: number): string => (n === 1 ? 'share' : 'shares'),
    none: 'No clip has been seen yet. Share one, and its views are counted here.',
    share: 'Go to your clips',
  },
  usage: 'Used and left',
  board: {
    title: 'Leaderboard',
    space: 'Space',
    none: 'Open a space, and see here who takes part most.',
    empty: 'Nobody has taken part yet.',
    toSpaces: 'Go to spaces',
    person: 'Person',
    guest: 'guest',
    score: 'Score',
    messages: (n: number) => some(n, 'message'),
    votes: (n: number) => some(n, 'vote'),
    reactions: (n: number) => some(n, 'reaction'),
    talk: (time: string) => `${time} of talk`,
  },
  locked: {
    title: 'Your spaces over time',
    text: 'How long people stay, when they write, which clips they watch: the Pro plan shows it here.',
    operator:
      'How long people stay, when they write, which clips they watch. Your account does not include it.',
    plans: 'See the plans',
  },
};
