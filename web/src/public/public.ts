/** The script of the pages of a shared clip. It imports nothing that the app has too, so that it stays one file. */
import { Player } from './player';
import { offerSharing } from './share';

const player = document.querySelector<HTMLElement>('.player');
const actions = document.querySelector<HTMLElement>('.acts');
if (player) new Player(player);
if (actions) offerSharing(actions);
