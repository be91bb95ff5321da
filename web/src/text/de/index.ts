import account from './account';
import analytics from './analytics';
import billing from './billing';
import clips from './clips';
import errors from './errors';
import home from './home';
import recording from './recording';
import recordings from './recordings';
import rooms from './rooms';
import settings from './settings';
import shell from './shell';

import type { Text } from '../index';

export default {
  account,
  analytics,
  billing,
  clips,
  errors,
  home,
  recording,
  recordings,
  rooms,
  settings,
  shell,
} satisfies Text;
