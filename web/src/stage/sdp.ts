/** The few questions we ask of session descriptions (RFC 8866) and of the WHIP answer's headers (RFC 9725). Pure. */

/** The audio section of a description, without its other sections; `null` if it has none. */
function audio(sdp: string): string | null {
  return sdp.split(/^(?=m=)/m).find((section) => section.startsWith("m=audio")) ?? null;
}

/** Whether the answer takes our voice: an audio section with a port and a direction that receives. */
export function takesVoice(answer: string): boolean {
  const section = audio(answer);
  if (!section || /^m=audio 0 /.test(section)) return false;
  return !/^a=(sendonly|inactive)\s*$/m.test(section);
}

/** Whether the others come back on the same section. */
export function returnsVoices(answer: string): boolean {
  return /^a=sendrecv\s*$/m.test(audio(answer) ?? "");
}

/** Codec names of the audio section in the order of preference: `["red", "opus"]`, lower case. */
export function codecs(sdp: string): string[] {
  const section = audio(sdp);
  const order = section?.match(/^m=audio \d+ \S+ (.*)$/m)?.[1]?.trim().split(/\s+/) ?? [];
  const names = new Map([...(section ?? "").matchAll(/^a=rtpmap:(\d+) ([^/\s]+)/gm)].map((m) => [m[1], m[2]!.toLowerCase()]));
  return order.map((type) => names.get(type)).filter((name) => name !== undefined);
}

/**
 * The session's address. RFC 9725 §4.2 lets a server answer with a relative one, which is relative to the endpoint
 * (after redirects), not to this page.
 */
export function sessionUrl(location: string | null, endpoint: string): string | null {
  if (!location) return null;
  try {
    return new URL(location, endpoint).href;
  } catch {
    return null;
  }
}
