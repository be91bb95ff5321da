import { count } from '../../format/when';
import type { Kind } from '../../ui/icons/kinds';
import type en from '../en/recording';

const many = (n: number, one: string, other: string): string => (n === 1 ? one : other);

export default {
  sensitivity: 'Empfindlichkeit',
  strictness: (value: number): string => {
    if (value < 0.6) return 'viele Momente';
    if (value < 0.8) return 'ausgewogen';
    return 'nur Spitzen';
  },
  moreMoments: 'mehr Momente',
  onlyPeaks: 'nur Spitzen',
  back: 'Zurück zu den Aufnahmen',
  shortcuts: 'Tastenkürzel',
  detect: 'Highlights finden',
  detecting: 'Hört noch einmal zu',
  detected: (n: number) =>
    n ? `${n} ${many(n, 'Highlight', 'Highlights')} gefunden` : 'Nichts stach heraus',
  makeThese: (n: number): string => (n === 1 ? 'Dieses eine machen' : `Diese ${n} machen`),
  made: (n: number, skipped: number) =>
    `${n} ${many(n, 'Clip entsteht', 'Clips entstehen')}${skipped ? `. ${skipped} weitere passten nicht mehr in diesen Monat.` : ''}`,
  showClips: 'Zeigen',
  export: 'Highlights exportieren',
  exports: { csv: 'Tabelle (CSV)', edl: 'Schnittliste (EDL)', chapters: 'Kapitel (Text)', opening: 'Anfang' },
  highlights: 'Highlights',
  count: (n: number) => `${n} ${many(n, 'Highlight', 'Highlights')}`,
  bestFirst: 'Beste zuerst',
  belowLine: 'unter der Linie',
  none: {
    title: 'Nichts über der Linie',
    text: 'Zieh den Regler nach links für mehr Momente, oder markiere selbst einen Abschnitt mit I und O.',
  },
  noSound: 'In dieser Aufnahme ist kein Ton zu hören. Markiere einen Abschnitt mit I und O.',
  at: (kind: string, time: string) => `${kind} bei ${time}`,
  own: 'Dein eigener Schnitt',
  ownText: 'Dieser Abschnitt ist von Hand markiert. Zieh seine Enden auf der Zeitleiste oder drücke I und O.',
  player: 'Player',
  play: 'Abspielen (K)',
  pause: 'Anhalten (K)',
  previous: 'Voriges Highlight',
  next: 'Nächstes Highlight',
  setStart: 'Anfang setzen (I)',
  setEnd: 'Ende setzen (O)',
  captions: 'Untertitel',
  mute: 'Ton aus',
  unmute: 'Ton an',
  fullScreen: 'Vollbild',
  cannotPlay: 'Dieser Browser kann die Aufnahme so nicht abspielen. Highlights und Clips gehen trotzdem.',
  timeline: 'Zeitleiste',
  whole: 'Ganze Aufnahme',
  wholeLanes: ['Ganze', 'Aufnahme'],
  sound: 'Ton',
  score: 'Wertung',
  audience: 'Publikum',
  audienceIn: (what: string, seconds: string) => `${what} in ${seconds} s`,
  audienceTotal: (what: string, busiest: string) =>
    `Publikum: ${what}${busiest && `. Am meisten los bei ${busiest}`}`,
  did: {
    reaction: (n: number) => `${count(n)} ${many(n, 'Reaktion', 'Reaktionen')}`,
    message: (n: number) => `${count(n)} ${many(n, 'Nachricht', 'Nachrichten')}`,
    vote: (n: number) => `${count(n)} ${many(n, 'Stimme', 'Stimmen')}`,
    join: (n: number) => `${count(n)} ${many(n, 'Person', 'Personen')} dazugekommen`,
    moment: (n: number) => `${count(n)} ${many(n, 'gemerkter Moment', 'gemerkte Momente')}`,
  },
  savedMoment: 'Gemerkter Moment',
  position: 'Position',
  threshold: 'Kleinste Wertung, die zählt',
  clipStart: (time: string) => `Anfang des Clips, ${time}`,
  clipEnd: (time: string) => `Ende des Clips, ${time}`,
  window: 'Sichtbarer Teil',
  keys: { play: 'abspielen', frame: 'ein Bild', ends: 'Anfang, Ende' },
  snap: 'An Pausen einrasten',
  sounds: 'Geräusche',
  zoomIn: 'Näher',
  zoomOut: 'Weiter weg',
  tags: {
    laughter: 'Lachen',
    applause: 'Applaus',
    cheering: 'Jubel',
    shouting: 'Rufen',
    screaming: 'Schreien',
    speech: 'Sprache',
    music: 'Musik',
    alarm: 'Alarm',
  } as Record<string, string>,
  this: 'Dieses Highlight',
  why: 'Woraus die Wertung besteht',
  scored: (value: string) => `Wertung ${value}`,
  signals: {
    laughter: 'Lachen',
    applause: 'Applaus',
    cheering: 'Jubel',
    shouting: 'Rufe',
    screaming: 'Schreie',
    loudness: 'Lauter als sonst',
    novelty: 'Anders als der Rest',
    steadiness: 'Viele zugleich',
    tone: 'Menge statt Ton',
    pauses: 'Pause daneben',
    contrast: 'Hebt sich ab',
    audience: 'Das Publikum reagiert',
    base: 'Ausgangswert',
  } as Record<string, string>,
  sentence: (kind: Kind, seconds: number, signals: readonly string[]): string => {
    const what = {
      humor: 'Es klingt nach Lachen',
      celebration: 'Es klingt nach Jubel oder Applaus',
      surprise: 'Es klingt nach einem Ruf oder Staunen',
      emotional: 'Es klingt nach einem bewegten Moment',
      engagement: 'Das Publikum war rege',
    }[kind];
    const heard: Record<string, string> = {
      laughter: 'Lachen',
      applause: 'Applaus',
      cheering: 'Jubel',
      shouting: 'Rufen',
      screaming: 'Schreien',
    };
    const because: Record<string, string> = {
      loudness: 'ist lauter als sonst',
      novelty: 'ist anders als der Rest der Aufnahme',
      steadiness: 'kommt von vielen',
      tone: 'klingt nach einer Menge',
      pauses: 'hat eine Pause daneben',
      contrast: 'hebt sich von der Umgebung ab',
      audience: 'ließ das Publikum reagieren',
    };
    const strongest = signals.filter((each) => each in heard || each in because).slice(0, 2);
    const sounds = strongest.flatMap((each) => heard[each] ?? []).join(' und ');
    const reasons = strongest.flatMap((each) => because[each] ?? []);
    if (sounds) reasons.unshift(`wurde als ${sounds} gehört`);
    const length = `${what}, ${seconds < 1.5 ? 'eine Sekunde' : `${Math.round(seconds)} Sekunden`} lang.`;
    return reasons.length ? `${length} Es ${reasons.join(' und ')}.` : length;
  },
  make: {
    title: 'Clip machen',
    name: 'Titel',
    shape: 'Form',
    shapes: { original: 'Original', vertical: 'Hochkant', square: 'Quadrat', audiogram: 'Audio' },
    formats: 'Formate',
    loudness: 'Gleiche Lautheit',
    captions: 'Untertitel',
    captionsHint: '.srt oder .vtt, ins Bild',
    captionsChoose: 'Wählen',
    captionsRemove: (name: string) => `${name} entfernen`,
    submit: 'Clip machen',
    about: (size: string) => `Etwa ${size}`,
    left: (n: number) => `noch ${n} ${many(n, 'Clip', 'Clips')} in diesem Monat`,
    short: (least: string) => `Ein Clip dauert mindestens ${least}.`,
    long: (most: string) => `Dein Tarif nimmt Clips bis ${most}.`,
    done: 'Der Clip entsteht',
    pick: 'Wähle mindestens ein Format.',
  },
  processing: {
    title: 'Hört noch zu',
    text: 'Highlights erscheinen hier, sobald es fertig ist. Du kannst gehen; nichts hört auf.',
  },
  failed: { title: 'Diese Aufnahme ist gescheitert', action: 'Zurück zu den Aufnahmen' },
  uploading: { title: 'Der Upload ist nicht fertig', text: 'Geh zurück und lass ihn weiterlaufen.' },
  help: {
    title: 'Tastatur',
    rows: [
      ['J K L', 'Zurück, anhalten, abspielen; noch einmal: schneller'],
      ['← →', 'Ein Bild zurück oder vor; mit Umschalt eine Sekunde'],
      ['I O', 'Anfang oder Ende hier setzen'],
      ['↑ ↓', 'Voriges oder nächstes Highlight'],
      ['+ −', 'Näher oder weiter weg; auch mit Strg und dem Mausrad'],
      ['S', 'An Pausen einrasten; Alt hält frei'],
      ['Enter', 'Den Clip machen'],
      ['?', 'Diese Liste'],
    ],
  },
} satisfies typeof en;
