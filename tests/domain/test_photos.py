"""Photos: what is one by its bytes, and that nothing but the picture is kept."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Malformed
from domain.photos import Photo, checked
from tests.pictures import HOME, JPEG, chunk, exif, jpeg, png, segment

MOST = 100_000


def kept(content: bytes) -> Photo:
    return checked(content, most_bytes=MOST)


class TestWhatIsKept:
    def test_a_picture_without_anything_beside_it_stays_as_it_is(self) -> None:
        assert kept(JPEG) == Photo("image/jpeg", JPEG)
        assert kept(png()) == Photo("image/png", png())

    def test_where_and_with_what_it_was_taken_is_left_out(self) -> None:
        comment, maker = segment(0xFE, b"by Kim, " + HOME), segment(0xE5, b"Camera 7")
        assert kept(jpeg(exif(1), comment, maker)).content == JPEG
        told = chunk(b"tEXt", b"Comment\0" + HOME), chunk(b"eXIf", b"MM" + HOME), chunk(b"tIME", bytes(7))
        assert kept(png(*told)).content == png()

    @pytest.mark.parametrize("order", [">", "<"])
    @pytest.mark.parametrize("way_up", [2, 3, 6, 8])
    def test_which_way_up_it_is_stays_and_nothing_else_of_the_camera(self, order: str, way_up: int) -> None:
        found = kept(jpeg(exif(way_up, order))).content
        assert HOME not in found
        assert b"ABC" not in found
        # Read again, it says the same.
        assert kept(found).content == found
        assert found[2:4] == b"\xff\xe1"
        assert struct.pack(">HHIHH", 0x0112, 3, 1, way_up, 0) in found
        assert found.endswith(JPEG[2:])

    @pytest.mark.parametrize("wrong", [0, 9, 4711])
    def test_a_way_up_that_there_is_not_is_the_usual_one(self, wrong: int) -> None:
        assert kept(jpeg(exif(wrong))).content == JPEG

    def test_colours_stay(self) -> None:
        profile = segment(0xE2, b"ICC_PROFILE\0\1\1 profile")
        assert kept(jpeg(profile)).content == jpeg(profile)
        gamma = chunk(b"gAMA", struct.pack(">I", 45455))
        assert kept(png(gamma)).content == png(gamma)

    def test_what_follows_the_picture_is_cut_off(self) -> None:
        assert kept(JPEG + b"<script>alert(1)</script>").content == JPEG
        assert kept(png() + HOME).content == png()

    def test_data_that_looks_like_a_marker_belongs_to_the_scan(self) -> None:
        scan = JPEG[:-2] + b"\xff\x00\xff\xd0\x12\xff\xff\x00" + b"\xff\xd9"
        assert kept(scan).content == scan


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "content",
        [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a\1\0\1\0", b"%PDF-1.7", b"\0", b"RIFF....WEBPVP8 "],
    )
    def test_other_things_whatever_they_are_called(self, content: bytes) -> None:
        with pytest.raises(Malformed, match="Send a JPEG or a PNG"):
            kept(content)

    def test_nothing_and_too_much(self) -> None:
        with pytest.raises(Malformed, match="empty"):
            kept(b"")
        with pytest.raises(Malformed, match="8 MB at most"):
            checked(JPEG + bytes(8_000_000), most_bytes=8_000_000)

    @pytest.mark.parametrize("whole", [JPEG, jpeg(exif(6)), png()], ids=["jpeg", "turned", "png"])
    def test_one_that_was_cut_off_anywhere(self, whole: bytes) -> None:
        for end in range(9, len(whole)):
            with pytest.raises(Malformed, match="damaged"):
                kept(whole[:end])

    def test_a_chunk_whose_checksum_does_not_agree(self) -> None:
        with pytest.raises(Malformed, match="damaged"):
            kept(png().replace(b"IDAT", b"IDAt"))

    @pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (0, 4), (2**31 - 1, 2**31 - 1)])
    def test_more_pixels_than_a_browser_should_have_to_draw(self, width: int, height: int) -> None:
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        with pytest.raises(Malformed, match="80 million pixels"):
            kept(png().replace(chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)), chunk(b"IHDR", header)))
        size = struct.pack(">HH", min(height, 65_535), min(width, 65_535))
        frame = JPEG.index(b"\xff\xc2") + 5
        with pytest.raises(Malformed, match="80 million pixels"):
            kept(JPEG[:frame] + size + JPEG[frame + 4 :])

    @given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1"]))
    def test_whatever_bytes_come_it_is_a_refusal_by_name(self, body: bytes, begins: bytes) -> None:
        with pytest.raises(Malformed):
            kept(begins + body)

    @given(st.data())
    def test_a_picture_with_a_wrong_byte_is_kept_or_refused_and_never_breaks(self, data: st.DataObject) -> None:
        whole = data.draw(st.sampled_from([jpeg(exif(6)), png()]))
        at = data.draw(st.integers(0, len(whole) - 1))
        wrong = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
        try:
            found = kept(wrong)
        except Malformed:
            return
        assert kept(found.content) == found


class TestSmuggled:
    """What no picture needs and a file can carry: other pictures, words, work for whoever draws it."""

    @pytest.mark.parametrize("marker", [0x01, 0x02, 0x4F, 0xBF, 0xC8, 0xF0, 0xF7, 0xFD])
    def test_segments_that_no_picture_has(self, marker: int) -> None:
        assert kept(jpeg(segment(marker, b"<?php " + HOME))).content == JPEG

    def test_a_smaller_picture_of_what_it_was_before_it_was_cut(self) -> None:
        whole = segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\2\2" + b"\x55" * 12)
        assert kept(jpeg(whole)).content == jpeg(segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0"))
        assert kept(jpeg(segment(0xE0, b"JFXX\0\x10" + HOME))).content == JPEG
        assert kept(jpeg(segment(0xE0, b"AVI1" + HOME), segment(0xEE, b"Other" + HOME))).content == JPEG

    def test_what_stands_behind_the_word_of_the_colours(self) -> None:
        adobe = b"Adobe\0\x64\0\0\0\0\1"
        assert kept(jpeg(segment(0xEE, adobe + HOME))).content == jpeg(segment(0xEE, adobe))

    def test_more_passes_than_a_picture_is_drawn_in(self) -> None:
        scan = JPEG[JPEG.index(b"\xff\xda") : -2]
        assert kept(JPEG[:-2] + scan * 40 + JPEG[-2:]).content.count(b"\xff\xda") == 41
        with pytest.raises(Malformed, match="passes"):
            kept(JPEG[:-2] + scan * 400 + JPEG[-2:])

    def test_a_profile_of_colours_that_swells(self) -> None:
        large = chunk(b"iCCP", b"all\0\0" + zlib.compress(bytes(30_000_000), 9))
        assert kept(png(large)).content == png()
        own = chunk(b"iCCP", b"all\0\0" + zlib.compress(b"a profile of some colours"))
        assert kept(png(own)).content == png(own)
        assert kept(png(chunk(b"iCCP", b"all\0\0" + HOME))).content == png()
