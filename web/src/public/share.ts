/** The buttons beside a shared clip: send its link with what the device has, or copy it. */
import { part } from './part';

const SHOWN_MS = 5000;

export function offerSharing(actions: HTMLElement): void {
  const share = part<HTMLButtonElement>(actions, '.share');
  const copy = part<HTMLButtonElement>(actions, '.copy');
  const said = part(actions, '.said');
  const { url = location.href, title = document.title } = actions.dataset;
  let timer = 0;

  function say(text = ''): void {
    said.textContent = text;
    clearTimeout(timer);
    timer = window.setTimeout(() => (said.textContent = ''), SHOWN_MS);
  }

  copy.addEventListener('click', () => {
    writeClipboard(url).then(
      () => {
        say(copy.dataset['copied']);
      },
      () => {
        say(copy.dataset['failed']);
      },
    );
  });
  share.addEventListener('click', () => {
    // Rejects when the reader closes the sheet.
    navigator.share({ title, url }).catch(() => undefined);
  });
  copy.hidden = false;
  share.hidden = typeof navigator.share !== 'function';
  // One honey button: the first.
  actions.querySelector('.go')?.classList.remove('go');
  (share.hidden ? copy : share).classList.add('go');
}

/** Rejects where the browser does not allow it; without TLS there is no clipboard at all. */
async function writeClipboard(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
