import type en from '../en/recordings';

const many = (n: number, one: string, other: string): string => (n === 1 ? one : other);

export default {
  title: 'Aufnahmen',
  importUrl: 'Adresse importieren',
  recordNow: 'Jetzt aufnehmen',
  drop: {
    label: 'Hochladen',
    title: 'Aufnahmen hier ablegen',
    text: 'Video oder Ton, je bis zu sechs Stunden. Ein geschlossener Tab oder ein Netzausfall unterbricht nur.',
    choose: 'Dateien wählen',
    over: 'Loslassen, dann sind sie drin',
    refused: (name: string) =>
      `${name} ist weder Video noch Ton. Wähle eine Mediendatei wie MP4, MKV, MP3 oder WAV.`,
  },
  uploads: {
    label: 'Uploads',
    sending: (sent: string, whole: string, speed: string, left: string) =>
      `${sent} von ${whole}${speed ? ` · ${speed}/s` : ''}${left ? ` · noch ${left}` : ''}`,
    queued: 'Kommt gleich dran',
    paused: (sent: string, whole: string) => `Angehalten. ${sent} von ${whole} sind sicher.`,
    waiting: (sent: string, whole: string) => `Wartet auf das Netz. ${sent} von ${whole} sind sicher.`,
    choose: (sent: string, whole: string) =>
      `${sent} von ${whole} sind sicher. Wähle die Datei noch einmal, dann geht es weiter.`,
    permit: (sent: string, whole: string) =>
      `${sent} von ${whole} sind sicher. Erlaube dieser Seite, die Datei zu lesen, dann geht es weiter.`,
    elsewhere: 'Ein anderer Tab lädt sie hoch.',
    finishing: 'Wird zusammengesetzt',
    pause: 'Anhalten',
    resume: 'Weiter',
    tryNow: 'Jetzt versuchen',
    chooseFile: 'Datei wählen',
    cancel: 'Abbrechen',
    wrongFile: (name: string) => `Das ist eine andere Datei. Wähle ${name}, so wie sie war.`,
    cancelled: (name: string) => `${name} wird nicht hochgeladen`,
    progress: (name: string) => `Upload von ${name}`,
  },
  dialog: {
    title: 'Adresse importieren',
    text: 'Der Dienst holt die Datei selbst. Du kannst diese Seite schließen.',
    url: 'Adresse der Aufnahme',
    hint: 'Ein direkter Link auf eine Video- oder Tondatei, die jeder öffnen kann.',
    name: 'Titel',
    nameHint: 'Leer: der Name der Datei.',
    submit: 'Importieren',
    done: 'Der Import ist eingereiht',
  },
  search: 'Titel durchsuchen',
  filter: 'Filter',
  filters: { all: 'Alle', ready: 'Fertig', working: 'In Arbeit', failed: 'Gescheitert' },
  list: 'Deine Aufnahmen',
  empty: {
    title: 'Noch nichts zu hören',
    text: 'Leg eine Aufnahme hinein, dann wacht der Bär auf.',
    sample: 'oder spiel mit dem Beispiel',
  },
  none: {
    title: 'Keine Aufnahme passt',
    text: 'Versuche weniger Buchstaben oder einen anderen Filter.',
    action: 'Alle zeigen',
  },
  highlights: (n: number) => `${n} ${many(n, 'Highlight', 'Highlights')}`,
  noHighlights: 'Nichts stach heraus',
  noSound: 'Kein Ton',
  from: (host: string) => `von ${host}`,
  state: {
    uploading: 'Upload unvollständig',
    live: 'Nimmt auf',
    queued: 'In der Reihe',
    import: 'Wird geholt',
    index: 'Wird gelesen',
    probe: 'Wird gelesen',
    listen: 'Hört zu',
    poster: 'Macht das Bild',
    detect: 'Sucht Highlights',
    working: 'In Arbeit',
    failed: 'Gescheitert',
  },
  left: (words: string, time: string) => `${words}, noch ${time}`,
  actions: {
    menu: (title: string) => `Aktionen für ${title}`,
    open: 'Öffnen',
    rename: 'Umbenennen',
    remove: 'Löschen',
    retry: 'Noch einmal hochladen',
  },
  rename: { title: 'Aufnahme umbenennen', name: 'Titel', done: 'Umbenannt' },
  remove: {
    title: (n: number) => (n === 1 ? 'Diese Aufnahme löschen?' : `${n} Aufnahmen löschen?`),
    text: (n: number, title: string) =>
      n === 1
        ? `„${title}“ und ihre Highlights verschwinden, und alle Arbeit daran hört auf. Fertige Clips bleiben, können aber nicht neu gemacht werden.`
        : 'Sie verschwinden mit ihren Highlights, und alle Arbeit daran hört auf. Fertige Clips bleiben, können aber nicht neu gemacht werden.',
    keep: () => 'Behalten',
    go: (n: number) => `${n} ${many(n, 'Aufnahme', 'Aufnahmen')} löschen`,
    done: (n: number) => `${n} ${many(n, 'Aufnahme', 'Aufnahmen')} gelöscht`,
  },
  pick: (title: string) => `${title} auswählen`,
  bulk: {
    label: 'Ausgewählte Aufnahmen',
    picked: (n: number) => `${n} ausgewählt`,
    detect: 'Highlights finden',
    remove: 'Löschen',
    clear: 'Auswahl aufheben',
    detected: (n: number) =>
      `${n} ${many(n, 'Aufnahme wird', 'Aufnahmen werden')} nach Highlights durchsucht`,
  },
  partly: (done: number, all: number, why: string) => `${done} von ${all} gingen. ${why}`,
  sample: 'Das Beispiel ist unterwegs',
} satisfies typeof en;
