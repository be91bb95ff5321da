import billing from './billing';
import jobs from './jobs';
import overview from './overview';
import people from './people';
import shell from './shell';
import system from './system';
import type { Words } from '..';

const words: Words = { ...billing, ...jobs, ...overview, ...people, ...shell, ...system };

export default words;
