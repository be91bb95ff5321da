/** Codes of rooms, as people type or paste them. */
const CODE = /^[ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{6}$/;

/** The code in what somebody typed: the code itself, with spaces or in small letters, or a link to the room. */
export function codeIn(typed: string): string | undefined {
  const last = typed.trim().split(/[?#]/)[0]?.replace(/\/+$/, '').split('/').pop() ?? '';
  const code = last.replace(/[\s-]/g, '').toUpperCase();
  return CODE.test(code) ? code : undefined;
}

/** The link that leads into a room. */
export function linkTo(code: string): string {
  return `${window.location.origin}/spaces/${code}`;
}
