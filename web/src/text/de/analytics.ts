import { count } from '../../format/when';
import type en from '../en/analytics';

const some = (n: number, one: string, many: string): string => `${count(n)} ${n === 1 ? one : many}`;

const words: typeof en = {
  title: 'Auswertung',
  period: 'Zeitraum',
  days: (n) => `${n} Tage`,
  year: 'Ein Jahr',
  csv: 'CSV herunterladen',
  figures: {
    sessions: 'Eröffnete Räume',
    hours: 'Gemeinsame Zeit',
    people: 'Personen',
    messages: 'Nachrichten',
    votes: 'Stimmen',
    polls: (n) => `in ${n} Umfragen`,
    perSession: (n) => `${n} je Raum`,
    average: (time) => `${time} im Schnitt`,
  },
  chart: {
    title: 'Zeit in deinen Räumen, nach Tag',
    label: (sessions, time) => `${sessions} Räume, ${time} zusammen`,
    point: (day, sessions, time) =>
      `${day}: ${count(sessions)} ${sessions === 1 ? 'Raum' : 'Räume'}, ${time}`,
    none: 'In dieser Zeit wurde kein Raum eröffnet.',
  },
  busy: {
    title: 'Wann am meisten los ist',
    label: 'Wann geschrieben wird, nach Wochentag und Stunde',
    none: 'Noch hat niemand geschrieben.',
    most: (day, hour, messages) => `Am meisten ${day} um ${hour}: ${messages} Nachrichten`,
    cell: (day, hour, messages) => `${day}, ${hour}: ${messages} Nachrichten`,
  },
  clips: {
    title: 'Meistgesehene Clips',
    clip: 'Clip',
    views: 'Aufrufe',
    shares: 'Geteilt',
    seen: (n) => (n === 1 ? 'Aufruf' : 'Aufrufe'),
    shared: () => 'mal geteilt',
    none: 'Noch wurde kein Clip gesehen. Teile einen, dann werden die Aufrufe hier gezählt.',
    share: 'Zu deinen Clips',
  },
  usage: 'Verbraucht und übrig',
  board: {
    title: 'Rangliste',
    space: 'Raum',
    none: 'Eröffne einen Raum, dann siehst du hier, wer am meisten mitmacht.',
    empty: 'Noch hat niemand mitgemacht.',
    toSpaces: 'Zu den Räumen',
    person: 'Person',
    guest: 'Gast',
    score: 'Punkte',
    messages: (n) => some(n, 'Nachricht', 'Nachrichten'),
    votes: (n) => some(n, 'Stimme', 'Stimmen'),
    reactions: (n) => some(n, 'Reaktion', 'Reaktionen'),
    talk: (time) => `${time} Redezeit`,
  },
  locked: {
    title: 'Deine Räume im Verlauf',
    text: 'Wie lange Leute bleiben, wann sie schreiben, welche Clips sie ansehen: Das zeigt der Tarif Pro hier.',
    operator:
      'Wie lange Leute bleiben, wann sie schreiben, welche Clips sie ansehen. Dein Konto enthält das nicht.',
    plans: 'Tarife ansehen',
  },
};

export default words;
