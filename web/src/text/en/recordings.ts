export default {
  title: 'Recordings',
  empty: {
    title: 'Nothing to listen to yet',
    text: 'Drop a recording and the bear wakes up.',
  },
};
