"""Data sets in their true layouts, with real encoded files, and in layouts that do not fit."""

import json
from pathlib import Path

import pytest

from glocal.datasets import DATASETS
from glocal.datasets.puppets import Puppets, UntrimmedPuppets, export
from glocal.errors import InputError, UsageError
from glocal.video import read_video
from helpers.dataset_files import XML, film, put, write_ilsvrc, write_ucf101
from helpers.moving_squares import square
from helpers.video_files import encode


def test_ucf101(tmp_path: Path) -> None:
    dataset = DATASETS["ucf101"]
    write_ucf101(tmp_path)
    records = dataset.read(tmp_path, "train", fold=1)
    assert [(r.label, r.path.name) for r in records] == [
        ("Archery", "v_Archery_g01_c01.avi"),
        ("Biking", "v_Biking_g01_c01.avi"),
    ]
    assert [read_video(r.path).frames for r in dataset.read(tmp_path, "test")] == [10]
    with pytest.raises(InputError, match=r"trainlist02\.txt cannot be read"):
        dataset.read(tmp_path, "train", fold=2)
    for line, message in (
        ("Archery/v_Archery_g01_c01.avi 2", "Archery is class 1"),
        ("Archer/v_Archer_g01_c01.avi 1", "Archer"),
        ("v_Archery_g01_c01.avi 1", "Class/v_Class"),
        ("Archery/v_Archery_g01_c01.avi one", "one"),
    ):
        put(tmp_path / "ucfTrainTestlist" / "trainlist01.txt", f"\n{line}\n")
        with pytest.raises(InputError, match=rf"trainlist01\.txt, line 2: .*{message}"):
            dataset.read(tmp_path, "train")


def test_hmdb51_has_names_with_signs_and_clips_without_use(tmp_path: Path) -> None:
    dataset, names = DATASETS["hmdb51"], ("a#b_wave_(x)&!.avi", "two words.avi", "third.avi")
    splits = tmp_path / "testTrainMulti_7030_splits"
    put(
        splits / "wave_test_split1.txt", "".join(f"{n} {p} \n" for n, p in zip(names, (1, 2, 0), strict=True))
    )
    put(splits / "shake_hands_test_split1.txt", "")
    for name in names:
        film(tmp_path / "wave" / name)
    for split, name in zip(("train", "test", "unused"), names, strict=True):
        (record,) = dataset.read(tmp_path, split)
        assert (record.label, record.path) == ("wave", tmp_path / "wave" / name)
        assert read_video(record.path).frames == 10
    with pytest.raises(InputError, match="holds no lists <class>_test_split3"):
        dataset.read(tmp_path, "train", fold=3)
    for line in ("x.avi 4", "x.avi", "../x.avi 1"):
        put(splits / "wave_test_split1.txt", line)
        with pytest.raises(InputError, match=r"wave_test_split1\.txt, line 1"):
            dataset.read(tmp_path, "train")
    (splits / "wave_test_split1.txt").write_bytes(b"\xff\xfe.avi 1")
    with pytest.raises(InputError, match=r"wave_test_split1\.txt is not text in UTF-8"):
        dataset.read(tmp_path, "train")


def test_the_plain_metadata_of_ilsvrc_is_read_whole(shared: Path) -> None:
    folder = shared / "annotations" / "ilsvrc"
    records = DATASETS["ilsvrc"].list_records(shared, annotations=folder)
    assert len(records) == 10_000
    assert len({record.label for record in records}) == 1000
    assert sum(len(record.boxes[0]) for record in records) == 18_532
    first = records[0]
    assert first.path == shared / "val2" / "0" / "0.jpeg"
    assert (first.label, first.size, first.boxes) == ("0", (500, 375), {0: ((156, 163, 319, 231),)})
    for record in records:
        width, height = record.size or (0, 0)
        assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in record.boxes[0])


def test_ilsvrc_in_xml(tmp_path: Path) -> None:
    (record,) = DATASETS["ilsvrc"].read(write_ilsvrc(tmp_path), "val")
    assert (record.label, record.size) == ("n01440764", (32, 24))
    assert record.boxes == {0: ((0, 3, 32, 10), (4, 5, 7, 8))}
    picture = read_video(record.path)
    assert (picture.width, picture.height, picture.is_image) == (32, 24, True)
    assert DATASETS["ilsvrc"].read(tmp_path / "ILSVRC", "val") == [record]


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9))
    + "]><annotation>&a9;</annotation>"
)


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (LAUGHS, "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "declares a document type"),
        ("<annotation>", "is not XML"),
        ("", "is not XML"),
        ("<annotation/>", "expected size and objects"),
        (XML.replace("n01440764</name>", "n2</name>", 1), "2 classes of objects"),
        (XML.replace("<xmin>0", "<xmin>left"), "expected size and objects"),
    ],
)
def test_an_image_with_broken_xml_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, xml: str, message: str
) -> None:
    write_ilsvrc(tmp_path, XML, xml)
    (record,) = DATASETS["ilsvrc"].read(tmp_path, "val")
    assert record.path.name == "ILSVRC2012_val_00000001.JPEG"
    assert "1 of 2 items cannot be used" in caplog.text
    assert "ILSVRC2012_val_00000002.xml" in caplog.text
    assert message in caplog.text


def test_plain_metadata_that_does_not_fit_is_named(tmp_path: Path) -> None:
    good = {
        "image_ids": "a.jpg",
        "class_labels": "a.jpg,3",
        "image_sizes": "a.jpg,9,8",
        "localization": "a.jpg,1,2,3,4",
    }

    def read(**changed: str) -> list[object]:
        for name, text in (good | changed).items():
            put(tmp_path / "meta" / f"{name}.txt", text)
        return list(DATASETS["ilsvrc"].list_records(tmp_path, annotations=tmp_path / "meta"))

    assert len(read()) == 1
    for changed, message in (
        ({"class_labels": "b.jpg,3"}, r"image_ids\.txt, line 1: expected a class, a size and a box"),
        ({"localization": "a.jpg,1,2,3"}, r"image_ids\.txt, line 1"),
        ({"image_sizes": "a.jpg,9,wide"}, r"image_sizes\.txt, line 1: expected an image and whole numbers"),
        (
            {
                "image_ids": "/etc/hosts",
                "class_labels": "/etc/hosts,1",
                "image_sizes": "/etc/hosts,9,9",
                "localization": "/etc/hosts,1,1,2,2",
            },
            "must be the name of a file below",
        ),
    ):
        with pytest.raises(InputError, match=message):
            read(**changed)


def test_something_v1_is_folders_of_frames(tmp_path: Path) -> None:
    dataset, stem = DATASETS["something-something-v1"], tmp_path / "something-something-v1"
    put(Path(f"{stem}-labels.csv"), "Holding something\nTurning the camera left while filming something\n")
    put(Path(f"{stem}-train.csv"), "100218;Holding something\n")
    folder = tmp_path / "20bn-something-something-v1" / "100218"
    folder.mkdir(parents=True)
    encode(folder / "%05d.jpg", square("move up", 0), codec="mjpeg", pix_fmt="yuvj420p")
    (record,) = dataset.read(tmp_path, "train")
    video = read_video(record.path, record.fps)
    assert (record.label, video.frames, video.fps) == ("Holding something", 10, 12)
    with pytest.raises(UsageError, match="one of train, validation, not 'test'"):
        dataset.read(tmp_path, "test")
    for line in ("100218;Holding nothing", "100218", "100218;Holding something;x", "../x;Holding something"):
        put(Path(f"{stem}-train.csv"), line)
        with pytest.raises(InputError, match=r"v1-train\.csv, line 1"):
            dataset.read(tmp_path, "train")


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_something_v2_is_webm(tmp_path: Path, codec: str) -> None:
    dataset = DATASETS["something-something-v2"]
    put(tmp_path / "labels" / "labels.json", '{"Moving something up": "0", "Holding something": "1"}')
    clip = {
        "id": "74225",
        "label": "moving a cube up",
        "template": "Moving [something] up",
        "placeholders": ["a cube"],
    }
    file = put(tmp_path / "labels" / "something-something-v2-train.json", json.dumps([clip]))
    film(tmp_path / "20bn-something-something-v2" / "74225.webm", codec)
    (record,) = dataset.read(tmp_path, "train")
    assert record.label == "Moving something up"
    assert read_video(record.path).frames == 10
    assert dataset.list_records(
        tmp_path / "20bn-something-something-v2", "train", annotations=tmp_path / "labels"
    ) == [record]
    for change, message in (
        ({"template": "Moving [something] down"}, "'Moving something down' is not in the list"),
        ({"id": "/etc/passwd"}, "must be the name of a file below"),
        ({"template": 3}, "an id and a template"),
    ):
        file.write_text(json.dumps([clip, {**clip, **change}]))
        with pytest.raises(InputError, match=f"entry 2: .*{message}"):
            dataset.list_records(tmp_path, "train")


def test_the_real_sample_of_something_v2_fits_the_real_labels(shared: Path, tmp_path: Path) -> None:
    labels = (shared / "annotations" / "labels" / "sthv2.txt").read_text().splitlines()
    put(tmp_path / "labels.json", json.dumps({label: str(index) for index, label in enumerate(labels)}))
    sample = (shared / "annotations" / "something-v2-validation-first200.json").read_text()
    put(tmp_path / "something-something-v2-validation.json", sample)
    records = DATASETS["something-something-v2"].list_records(tmp_path, "validation")
    assert len(labels) == 174
    assert len(records) == 200
    assert (records[0].label, records[0].path.name) == (
        "Spinning something that quickly stops spinning",
        "74225.webm",
    )


def test_kinetics_skips_and_counts_what_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "label,youtube_id,time_start,time_end,split\n"
    rows += 'arm wrestling,-0a_b,7,17,val\narm wrestling,gone,0,10,val\n"a, b",x,0,10,train\n'
    put(tmp_path / "annotations" / "all.csv", rows)
    film(tmp_path / "val" / "arm wrestling" / "-0a_b_000007_000017.mp4")
    dataset = DATASETS["kinetics"]
    (record,) = dataset.read(tmp_path, "val")
    assert (record.label, record.span) == ("arm wrestling", None)
    assert "1 of 2 items cannot be used and are left out" in caplog.text
    assert "gone_000000_000010.mp4 is missing" in caplog.text
    assert (
        dataset.list_records(tmp_path, "train")[0].path == tmp_path / "train" / "a, b" / "x_000000_000010.mp4"
    )
    with pytest.raises(InputError, match="lists no clips of 'test'"):
        dataset.read(tmp_path, "test")
    for text, message in (
        ("", "lists no clips"),
        ("label,youtube_id\na,b\n", r"all\.csv, line 2: expected the columns label"),
        ("label,youtube_id,time_start,time_end,split\na,b,c,10,val\n", r"all\.csv, line 2"),
        ("label,youtube_id,time_start,time_end,split\n../../a,b,1,10,val\n", "file below"),
        ("label,youtube_id,time_start,time_end,split\na,b\n", r"all\.csv, line 2"),
    ):
        put(tmp_path / "annotations" / "all.csv", text)
        with pytest.raises(InputError, match=message):
            dataset.read(tmp_path, "val")


def test_thumos14_has_a_record_for_each_action(tmp_path: Path) -> None:
    put(
        tmp_path / "annotation" / "Diving_val.txt",
        "video_validation_0000007  0.1  0.2\nvideo_validation_0000007 0 0.05\n",
    )
    put(tmp_path / "annotation" / "Ambiguous_val.txt", "video_validation_0000007  0.3  0.4\n")
    film(tmp_path / "validation" / "video_validation_0000007.mp4")
    dataset = DATASETS["thumos14"]
    records = dataset.read(tmp_path, "val")
    assert [(r.label, r.span) for r in records] == [("Diving", (0, 0.05)), ("Diving", (0.1, 0.2))]
    assert {r.path for r in records} == {tmp_path / "validation" / "video_validation_0000007.mp4"}
    (passage,) = dataset.read(tmp_path, "val", ambiguous=True)
    assert passage.span == (0.3, 0.4)
    put(tmp_path / "annotation" / "Diving_val.txt", "video_validation_0000007 3 2")
    assert "cannot last from 3 to 2" in str(dataset.list_records(tmp_path, "val")[0].problem)
    for line in ("video_validation_0000007 3", "video_validation_0000007 a 2", "../x 1 2"):
        put(tmp_path / "annotation" / "Diving_val.txt", line)
        with pytest.raises(InputError, match=r"Diving_val\.txt, line 1: expected a video and the seconds"):
            dataset.read(tmp_path, "val")


def test_multithumos_has_both_splits_in_one_file(tmp_path: Path) -> None:
    put(tmp_path / "annotations" / "Jump.txt", "video_test_0000004 0.1 0.2\nvideo_validation_0000001 1 2\n")
    film(tmp_path / "video_test_0000004.mp4")
    (record,) = DATASETS["multithumos"].read(tmp_path, "test")
    assert (record.label, record.span, record.path.name) == ("Jump", (0.1, 0.2), "video_test_0000004.mp4")
    assert len(DATASETS["multithumos"].list_records(tmp_path, "val")) == 1


def test_the_folds_of_the_fights_never_split_a_video(shared: Path) -> None:
    root, dataset = shared / "datasets" / "surveillance-fight", DATASETS["surveillance-fight"]
    folds = [dataset.read(root, "test", fold=fold) for fold in dataset.folds]
    assert sum(map(len, folds)) == len({r.path for records in folds for r in records}) == 240
    sources = dict(line.split(",")[::2] for line in (root / "clips.csv").read_text().splitlines()[1:])
    for fold, tested in zip(dataset.folds, folds, strict=True):
        trained = dataset.read(root, "train", fold=fold)
        assert len(trained) + len(tested) == 240
        shown = [{sources[r.path.relative_to(root).as_posix()] for r in part} for part in (trained, tested)]
        assert not shown[0] & shown[1]
    boxes = {r.path.name: r.boxes for records in folds for r in records if r.boxes}
    assert boxes["fi008.mp4"][11] == ((346, 176, 506, 302),)
    assert "fi012.mp4" not in boxes
    doubtful = [r for fold in dataset.folds for r in dataset.read(root, "test", fold=fold, doubtful=True)]
    drawn = json.loads((root / "boxes.json").read_text())["clips"]
    assert sum(bool(r.boxes) for r in doubtful) == len(drawn)
    assert len(boxes) == sum(not clip["doubtful"] for clip in drawn.values())


def test_exported_puppets_are_read_with_their_boxes(tmp_path: Path) -> None:
    puppets = Puppets("test", 3, size=(32, 48), frames=8)
    export(puppets, tmp_path)
    for record, clip in zip(DATASETS["puppets"].read(tmp_path, "test"), puppets, strict=True):
        assert (record.label, record.size, record.frames) == (clip.action, (48, 32), 8)
        for frame, box in enumerate(clip.actors[0].boxes.tolist()):
            assert record.boxes.get(frame, ((0, 0, 0, 0),)) == (tuple(box),)


def test_exported_untrimmed_puppets_have_a_record_for_each_action(tmp_path: Path) -> None:
    videos = UntrimmedPuppets("val", 2, size=32, actions_per_video=(2, 2), cuts=1.0)
    export(videos, tmp_path, masks=False)
    records = DATASETS["puppets"].read(tmp_path, "val")
    segments = [(video, segment) for video in videos for segment in video.segments]
    for record, (video, segment) in zip(records, segments, strict=True):
        assert record.label == segment.action
        assert record.span == (segment.start / video.fps, segment.end / video.fps)
        for frame in range(segment.start, segment.end):
            assert record.boxes.get(frame, ((0, 0, 0, 0),)) == (tuple(video.boxes[frame].tolist()),)
        assert all(segment.start <= frame < segment.end for frame in record.boxes)
    put(tmp_path / "val.json", "{}")
    with pytest.raises(InputError, match=r"val\.json: expected the annotations that"):
        DATASETS["puppets"].read(tmp_path, "val")
