import billing from './billing';
import jobs from './jobs';
import overview from './overview';
import people from './people';
import shell from './shell';
import system from './system';

export default { ...billing, ...jobs, ...overview, ...people, ...shell, ...system };
