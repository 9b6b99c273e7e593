"""What was recorded is cut where its pieces end, and played when they are due."""

from hearing import programme


def page(granule, *packets):
    lacing = b"".join(bytes([255] * (size // 255) + [size % 255]) for size in packets)
    return b"OggS\0\0" + granule.to_bytes(8, "little") + bytes(12) + bytes([len(lacing)]) + lacing + bytes(sum(packets))


def box(kind, size):
    return (8 + size).to_bytes(4, "big") + kind + bytes(size)


def test_pages_are_due_by_their_granule_positions():
    heads = [page(0, 19), page(0, 300)]
    sound = [page(granule, *[100] * 10) for granule in (96_000, 105_600, 115_200)]
    found = programme.pages(b"".join(heads + sound) + sound[0][:40])
    assert [one for _, one in found] == heads + sound
    assert [due for due, _ in programme.paced(found)] == [0.0, 0.0, 0.0, 0.2, 0.4]


def test_fragments_are_whole_and_what_is_no_sound_is_left_out():
    fragment = box(b"moof", 100) + box(b"mdat", 700)
    head, found = programme.fragments(box(b"ftyp", 12) + box(b"moov", 500) + box(b"emsg", 30) + 3 * fragment + fragment[:300])
    assert head == box(b"ftyp", 12) + box(b"moov", 500) and found == 3 * [fragment]
    assert programme.fragments(b"") == (b"", [])


def test_a_playlist_lists_the_newest_six():
    text = programme.playlist(20)
    assert "#EXT-X-MEDIA-SEQUENCE:15\n" in text and text.endswith("20.m4s\n") and text.count("#EXTINF") == 6
    assert programme.playlist(2).count("#EXTINF") == 3
