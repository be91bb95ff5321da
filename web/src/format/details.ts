/** JSON that somebody wrote down, in words: `queue: render · filter: state: failed`. */
export function listed(details: Record<string, unknown>): string {
  return Object.entries(details)
    .map(([name, value]) => {
      const isNested = typeof value === 'object' && value !== null;
      return `${name.replaceAll('_', ' ')}: ${isNested ? listed(value as Record<string, unknown>) || 'none' : String(value)}`;
    })
    .join(' · ');
}
