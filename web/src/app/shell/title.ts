/** The title of the window. */
import { text } from '../../text';

export function titled(title: string): string {
  return title ? `${title} · ${text.shell.product}` : text.shell.product;
}
