/** Language and numbers, as facts. */
import { describe, expect, it } from "vitest";
import { choose, clock, isolate, locale, parts, spoken } from "./language";

describe("the language", () => {
  it("is the address's, then the stored, then the browser's, then Arabic", () => {
    expect(choose("?lang=en", "ar", ["ar"])).toBe("en");
    expect(choose("", "en", ["ar"])).toBe("en");
    expect(choose("?lang=fr", null, ["fr-FR", "en-GB", "ar"])).toBe("en");
    expect(choose("", null, ["fr"])).toBe("ar");
  });

  it("brings the digits of the reader's region", () => {
    expect(clock(75, locale("ar", ["ar-EG"]))).toBe("١:١٥");
    expect(clock(75, locale("ar", ["ar-MA"]))).toBe("1:15");
    expect(clock(3675, locale("ar", ["en"]))).toBe("1:01:15");
    expect(clock(-1, "en")).toBe("0:00");
  });

  it("says times in words", () => {
    expect(spoken(190, "en")).toBe("3 minutes 10 seconds");
    expect(spoken(0, "en")).toBe("0 seconds");
  });

  it("of a text in both comes first", () => {
    expect(parts("عن الأبواب · About doors?", "ar")).toEqual(["عن الأبواب", "About doors?"]);
    expect(parts("عن الأبواب · About doors?", "en")).toEqual(["About doors?", "عن الأبواب"]);
    for (const one of ["Doors", "Doors · Windows", "باب · نافذة", "باب · Door · Tür", " · ", ""]) expect(parts(one, "ar")).toEqual([one]);
  });

  it("isolates with the terminator of isolates", () => {
    expect(isolate("x")).toBe("\u2068x\u2069");
  });
});
