/** How a person is drawn when there is no picture: a steady colour and an initial. */

/** A steady hue for a person, from their id. */
export function hue(id: string): number {
  let sum = 7;
  for (const letter of id) sum = (sum * 31 + letter.codePointAt(0)!) % 9973;
  // Steps of the golden angle keep neighbours apart.
  return Math.round((sum * 137.508) % 360);
}

/** The first letter that a reader would call one (an Arabic letter keeps its marks). */
export function initial(name: string): string {
  const trimmed = name.trim();
  if (!("Segmenter" in Intl)) return [...trimmed][0] ?? "";
  for (const { segment } of new Intl.Segmenter().segment(trimmed)) return segment.toLocaleUpperCase();
  return "";
}
