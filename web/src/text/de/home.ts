import type en from '../en/home';

export default {
  title: 'Highlights aus deinen Aufnahmen',
  headline: 'Aufnahme rein. Das Beste raus.',
  lead: 'Big Snuggles hört deine Vorträge, Streams und Podcasts, findet das Lachen, den Jubel und die Stille davor und schneidet Clips, die du posten kannst.',
  desk: {
    title: 'Start',
    hello: (name: string) => `Hallo, ${name}`,
    helloAll: 'Hallo',
    recordings: 'Letzte Aufnahmen',
    clips: 'Letzte Clips',
    all: 'Alle zeigen',
  },
  choose: 'Aufnahme wählen',
  sample: 'oder erst mit unserem Beispiel spielen',
  show: {
    title: 'Kleine Werkzeuge, große Räume',
    kinds: {
      engagement: 'Alle zugleich',
      humor: 'Großes Lachen',
      surprise: 'Überraschung',
      celebration: 'Jubel',
    },
    scene: 'Zwei Menschen in Sesseln auf einer Bühne',
    outs: {
      original: 'Wie aufgenommen',
      square: 'Quadratisch',
      vertical: 'Hochkant',
      audiogram: 'Audiogramm',
    },
    audiogram: 'Die Tastatur war nicht eingesteckt',
  },
  why: {
    title: 'Es sagt warum, und du entscheidest',
    parts: [
      {
        title: 'Jedes Highlight hat Gründe',
        text: 'Du siehst, was zu hören war und wie viel jeder Teil zählt, und entscheidest selbst.',
      },
      {
        title: 'Ein Regler, sofort',
        text: 'Wenige Höhepunkte oder viele Momente: Die Liste antwortet, während du ziehst. Nichts wird zweimal angehört.',
      },
      {
        title: 'Auf das Bild genau',
        text: 'Das meiste eines Clips wird kopiert statt neu kodiert. Das ist schnell und sieht aus wie deine Aufnahme.',
      },
    ],
    example: 'Der Saal lacht über die Tastatur',
    sentence:
      'Der Saal lacht sechs Sekunden lang, doppelt so laut wie das Gespräch ringsum und gleich nach einer Pause.',
    bars: ['Lachen', 'Lauter als sonst', 'Reaktionen im Chat', 'Pause davor'],
  },
  room: {
    title: 'Der Raum gehört dazu',
    text: 'Öffne einen Raum, lass alle reden, abstimmen und reagieren, und nimm mit Zustimmung aller auf. Wenn zwölf Leute zugleich lachen, schreibt Big Snuggles es auf.',
    question: 'Was bauen wir live?',
    options: ['Eine singende Türklingel', 'Eine Pflanze, die sich beschwert', 'Eine sehr langsame Uhr'],
  },
  own: {
    title: 'Deins, auf deinem Server',
    text: 'Ein Befehl startet alles. Aufnahmen gehen in deinen Speicher, nicht in unseren; unseren gibt es nicht.',
    ready: 'bereit',
  },
} satisfies typeof en;
