const FACE = '<circle cx="12" cy="12" r="9"/>';

/**
 * What a listener can answer with, in the order in which it stands. The server's list is crates/admission/src/reaction.rs; a test there compares them.
 *
 * Drawn, for not every device has such letters: lines in a square of 24.
 */
export const KINDS = [
  { kind: "heart", name: "page-react-heart", icon: '<path d="M12 20C7 16.5 3.5 13.4 3.5 9.5A4.6 4.6 0 0 1 12 7a4.6 4.6 0 0 1 8.5 2.5C20.5 13.4 17 16.5 12 20z"/>' },
  {
    kind: "applause",
    name: "page-react-applause",
    icon: '<rect x="5" y="8" width="5.5" height="13" rx="2.75" transform="rotate(22 8 14)"/><rect x="13.5" y="8" width="5.5" height="13" rx="2.75" transform="rotate(-22 16 14)"/><path d="M12 2v3M6.5 3l1.5 2.5M17.5 3 16 5.5"/>',
  },
  { kind: "laugh", name: "page-react-laugh", icon: FACE + '<path d="M7 10.5c.5-1.6 2.5-1.6 3 0M14 10.5c.5-1.6 2.5-1.6 3 0M7.5 13.5h9a4.5 4.5 0 0 1-9 0z"/>' },
  { kind: "wow", name: "page-react-wow", icon: FACE + '<circle cx="12" cy="15.5" r="2.2"/><path d="M8.5 9v1M15.5 9v1M7 6.5l2-.8M17 6.5l-2-.8"/>' },
  { kind: "agree", name: "page-react-agree", icon: '<path d="M7.5 11v9H4v-9zM7.5 11l4-7.5A2.2 2.2 0 0 1 13.7 5.7V10h4.4a2 2 0 0 1 2 2.3l-1 6a2 2 0 0 1-2 1.7H7.5"/>' },
] as const;

/** How often each was sent in a second, as the sound and the API tell it; what nobody sent is left out. */
export type Rates = Record<string, number>;

/** How many of a kind, whatever was told. */
export function rate(rates: Rates | undefined, kind: string): number {
  const told = rates?.[kind];
  return typeof told === "number" && told > 0 ? Math.floor(told) : 0;
}
