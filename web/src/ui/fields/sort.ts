/** The orders that the API lists recordings and clips in. */
export const SORTS = ['newest', 'oldest', 'longest', 'name'] as const;
export type Sort = (typeof SORTS)[number];

/** The order that an address asks for; the usual one for anything else. */
export function sortOf(query: URLSearchParams): Sort {
  return SORTS.find((each) => each === query.get('sort')) ?? 'newest';
}
