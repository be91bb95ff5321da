export default {
  title: 'Highlights from your recordings',
  headline: 'Drop the recording. Keep the good bits.',
  lead: 'Big Snuggles listens to your talks, streams and podcasts, hears the laughs, the cheers and the hush before them, and cuts clips you can post.',
  desk: {
    title: 'Home',
    hello: (name: string): string => `Hello, ${name}`,
    helloAll: 'Hello',
    recordings: 'Recent recordings',
    clips: 'Recent clips',
    all: 'Show all',
  },
  choose: 'Choose a recording',
  sample: 'or play with our sample first',
  show: {
    title: 'Small tools, big rooms',
    kinds: { engagement: 'All at once', humor: 'Big laugh', surprise: 'Surprise', celebration: 'Cheer' },
    scene: 'Two people in armchairs on a stage',
    outs: { original: 'As recorded', square: 'Square', vertical: 'Vertical', audiogram: 'Audiogram' },
    audiogram: 'The keyboard was unplugged',
  },
  why: {
    title: 'It says why, so you can say no',
    parts: [
      {
        title: 'Every highlight has reasons',
        text: 'You see what it heard and how much each part counted, and you decide.',
      },
      {
        title: 'One slider, at once',
        text: 'Few peaks or many moments: the list answers while you drag. Nothing is listened to twice.',
      },
      {
        title: 'Cuts to the frame',
        text: 'Most of a clip is copied, not encoded again, so it is quick and looks like your recording.',
      },
    ],
    example: 'The room loses it at the keyboard story',
    sentence: 'The room laughs for six seconds, twice as loud as the talk around it and right after a pause.',
    bars: ['Laughter', 'Louder than usual', 'Chat reactions', 'Pause before'],
  },
  room: {
    title: 'Make the room part of it',
    text: 'Open a space, let people talk, vote and react, and record with everyone’s consent. When twelve people laugh at once, Big Snuggles writes it down.',
    question: 'What should we build live?',
    options: ['A doorbell that sings', 'A plant that complains', 'A very slow clock'],
  },
  own: {
    title: 'Yours, on your own server',
    text: 'One command starts everything. Recordings go to your storage, not to ours; there is no ours.',
    ready: 'ready',
  },
};
