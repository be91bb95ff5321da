import { count } from '../../format/when';
import type { Kind } from '../../ui/icons/kinds';

const many = (n: number, one: string, other: string): string => (n === 1 ? one : other);

export default {
  sensitivity: 'Sensitivity',
  /** What a sensitivity means, in a word. */
  strictness: (value: number): string => {
    if (value < 0.6) return 'many moments';
    if (value < 0.8) return 'balanced';
    return 'only peaks';
  },
  moreMoments: 'more moments',
  onlyPeaks: 'only peaks',
  back: 'Back to recordings',
  shortcuts: 'Keyboard shortcuts',
  detect: 'Auto-Detect Highlights',
  detecting: 'Listening again',
  detected: (n: number) => (n ? `${n} ${many(n, 'highlight', 'highlights')} found` : 'Nothing stood out'),
  makeThese: (n: number): string => `Make ${n === 1 ? 'this one' : `these ${n}`}`,
  made: (n: number, skipped: number) =>
    `${n} ${many(n, 'clip is', 'clips are')} being made${skipped ? `. ${skipped} more did not fit into this month.` : ''}`,
  showClips: 'Show',
  export: 'Export highlights',
  exports: { csv: 'Table (CSV)', edl: 'Edit list (EDL)', chapters: 'Chapters (text)', opening: 'Start' },
  highlights: 'Highlights',
  count: (n: number) => `${n} ${many(n, 'highlight', 'highlights')}`,
  bestFirst: 'Best first',
  belowLine: 'below the line',
  none: {
    title: 'Nothing above the line',
    text: 'Pull the slider to the left to see more moments, or mark a stretch yourself with I and O.',
  },
  noSound: 'There is no sound to listen to in this recording. Mark a stretch with I and O.',
  at: (kind: string, time: string) => `${kind} at ${time}`,
  own: 'Your own cut',
  ownText: 'This stretch is marked by hand. Move its ends on the timeline or press I and O.',
  player: 'Player',
  play: 'Play (K)',
  pause: 'Pause (K)',
  previous: 'Previous highlight',
  next: 'Next highlight',
  setStart: 'Set start (I)',
  setEnd: 'Set end (O)',
  captions: 'Captions',
  mute: 'Sound off',
  unmute: 'Sound on',
  fullScreen: 'Full screen',
  cannotPlay: 'This browser cannot play the recording as it is. Highlights and clips work all the same.',
  timeline: 'Timeline',
  whole: 'Whole recording',
  wholeLanes: ['Whole', 'recording'],
  sound: 'Sound',
  score: 'Score',
  audience: 'Audience',
  audienceIn: (what: string, seconds: string) => `${what} in ${seconds} s`,
  audienceTotal: (what: string, busiest: string) =>
    `Audience: ${what}${busiest && `. Busiest at ${busiest}`}`,
  did: {
    reaction: (n: number) => `${count(n)} ${many(n, 'reaction', 'reactions')}`,
    message: (n: number) => `${count(n)} ${many(n, 'message', 'messages')}`,
    vote: (n: number) => `${count(n)} ${many(n, 'vote', 'votes')}`,
    join: (n: number) => `${count(n)} ${many(n, 'person', 'people')} joined`,
    moment: (n: number) => `${count(n)} ${many(n, 'saved moment', 'saved moments')}`,
  },
  savedMoment: 'Saved moment',
  position: 'Position',
  threshold: 'Least score that counts',
  clipStart: (time: string) => `Start of clip, ${time}`,
  clipEnd: (time: string) => `End of clip, ${time}`,
  window: 'Part in view',
  keys: { play: 'play', frame: 'one frame', ends: 'start, end' },
  snap: 'Snap to pauses',
  sounds: 'Sounds',
  zoomIn: 'Zoom in',
  zoomOut: 'Zoom out',
  tags: {
    laughter: 'Laughter',
    applause: 'Applause',
    cheering: 'Cheering',
    shouting: 'Shouting',
    screaming: 'Screaming',
    speech: 'Speech',
    music: 'Music',
    alarm: 'Alarm',
  } as Record<string, string>,
  this: 'This highlight',
  why: 'What made the score',
  scored: (value: string) => `Score ${value}`,
  signals: {
    laughter: 'Laughter',
    applause: 'Applause',
    cheering: 'Cheering',
    shouting: 'Shouting',
    screaming: 'Screaming',
    loudness: 'Louder than usual',
    novelty: 'Unlike the rest',
    steadiness: 'Many at once',
    tone: 'A crowd, not a tone',
    pauses: 'Pause around it',
    contrast: 'Stands out',
    audience: 'The audience reacted',
    base: 'Starting value',
  } as Record<string, string>,
  /** What a highlight is, by its kind, length and strongest signals. */
  sentence: (kind: Kind, seconds: number, signals: readonly string[]): string => {
    const what = {
      humor: 'It sounds like laughter',
      celebration: 'It sounds like cheers or applause',
      surprise: 'It sounds like a shout or a gasp',
      emotional: 'It sounds like a moment of feeling',
      engagement: 'The audience was busy',
    }[kind];
    const heard: Record<string, string> = {
      laughter: 'laughter',
      applause: 'applause',
      cheering: 'cheering',
      shouting: 'shouting',
      screaming: 'screaming',
    };
    const because: Record<string, string> = {
      loudness: 'is louder than usual',
      novelty: 'is unlike the rest of the recording',
      steadiness: 'comes from many people',
      tone: 'has the sound of a crowd',
      pauses: 'has a pause beside it',
      contrast: 'stands out from what is around it',
      audience: 'made the audience react',
    };
    const strongest = signals.filter((each) => each in heard || each in because).slice(0, 2);
    const sounds = strongest.flatMap((each) => heard[each] ?? []).join(' and ');
    const reasons = strongest.flatMap((each) => because[each] ?? []);
    if (sounds) reasons.unshift(`was heard as ${sounds}`);
    const length = `${what} for ${seconds < 1.5 ? 'a second' : `${Math.round(seconds)} seconds`}.`;
    return reasons.length ? `${length} It ${reasons.join(' and ')}.` : length;
  },
  make: {
    title: 'Make a clip',
    name: 'Title',
    shape: 'Shape',
    shapes: { original: 'Original', vertical: 'Vertical', square: 'Square', audiogram: 'Audio' },
    formats: 'Formats',
    loudness: 'Even loudness',
    captions: 'Captions',
    captionsHint: '.srt or .vtt, burnt in',
    captionsChoose: 'Choose',
    captionsRemove: (name: string) => `Remove ${name}`,
    submit: 'Make clip',
    about: (size: string) => `About ${size}`,
    left: (n: number) => `${n} ${many(n, 'clip', 'clips')} left this month`,
    short: (least: string) => `A clip is at least ${least} long.`,
    long: (most: string) => `Your plan takes clips up to ${most}.`,
    done: 'The clip is being made',
    pick: 'Choose at least one format.',
  },
  processing: {
    title: 'Still listening',
    text: 'Highlights appear here as soon as it is done. You can leave; nothing stops.',
  },
  failed: { title: 'This recording failed', action: 'Back to recordings' },
  uploading: { title: 'The upload is not finished', text: 'Go back and let it go on.' },
  help: {
    title: 'Keyboard',
    rows: [
      ['J K L', 'Back, pause, play; again: faster'],
      ['← →', 'One frame back or on; with Shift one second'],
      ['I O', 'Set the start or the end here'],
      ['↑ ↓', 'The highlight before or after'],
      ['+ −', 'Closer or further; with Ctrl and the wheel too'],
      ['S', 'Snap to pauses; hold Alt to be free'],
      ['Enter', 'Make the clip'],
      ['?', 'This list'],
    ],
  },
};
