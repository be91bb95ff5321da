/** Highlights as files for other programs. */
import type { Highlight } from '../../api/types';

export interface Named extends Pick<Highlight, 'start_s' | 'end_s' | 'score' | 'kind'> {
  title: string;
  reasons: string;
}

const HEADER = ['start', 'end', 'start_s', 'end_s', 'duration_s', 'score', 'kind', 'title', 'reasons'];

/** Comma-separated values (RFC 4180), with a header. */
export function csv(items: readonly Named[]): string {
  const rows = items.map((each) => [
    frames(each.start_s, 1000, '.'),
    frames(each.end_s, 1000, '.'),
    each.start_s.toFixed(3),
    each.end_s.toFixed(3),
    (each.end_s - each.start_s).toFixed(3),
    each.score.toFixed(3),
    each.kind,
    each.title,
    each.reasons,
  ]);
  return [HEADER, ...rows].map((row) => row.map(quoted).join(',')).join('\r\n') + '\r\n';
}

/** A spreadsheet takes a text that begins like a formula for one; a quote in front keeps it a text. */
function quoted(value: string): string {
  const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** An edit decision list (CMX 3600), one event a highlight, in the order of the recording. */
export function edl(items: readonly Named[], title: string, source: string, frameRate: number): string {
  const rate = Math.max(1, Math.round(frameRate));
  const timed = (seconds: number): string => frames(seconds, rate, ':');
  let at = 0;
  const events = inOrder(items).map((each, place) => {
    const length = each.end_s - each.start_s;
    const line = [
      `${String(place + 1).padStart(3, '0')}  AX       AA/V  C        `,
      `${timed(each.start_s)} ${timed(each.end_s)} ${timed(at)} ${timed(at + length)}`,
    ].join('');
    at += length;
    return `${line}\n* FROM CLIP NAME: ${oneLine(source)}\n* COMMENT: ${oneLine(each.title)}\n`;
  });
  return `TITLE: ${oneLine(title)}\nFCM: NON-DROP FRAME\n\n${events.join('\n')}`;
}

/** Chapters as video sites read them in a description; the first begins at 0. */
export function chapters(items: readonly Named[], opening: string): string {
  const lines = inOrder(items).map((each) => `${clock(each.start_s)} ${oneLine(each.title)}`);
  const first = inOrder(items)[0];
  return [...(first && first.start_s < 1 ? [] : [`0:00 ${opening}`]), ...lines].join('\n') + '\n';
}

const inOrder = (items: readonly Named[]): Named[] => [...items].sort((a, b) => a.start_s - b.start_s);
const oneLine = (value: string): string => value.replaceAll(/[\r\n]+/g, ' ');

function frames(seconds: number, rate: number, mark: string): string {
  const all = Math.round(seconds * rate);
  const whole = Math.floor(all / rate);
  const two = (n: number): string => String(n).padStart(2, '0');
  const rest = String(all % rate).padStart(String(rate - 1).length, '0');
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}${mark}${rest}`;
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const h = Math.floor(whole / 3600);
  const m = Math.floor((whole % 3600) / 60);
  const s = String(whole % 60).padStart(2, '0');
  return h ? `${h}:${String(m).padStart(2, '0')}:${s}` : `${m}:${s}`;
}
