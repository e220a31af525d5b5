"""The experiment of Stoychev & Gunes by the plan that ships, on a folder of drawn faces in the layout of CK+."""

import html
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgefair.report.study.markdown import lines
from edgefair.study.findings.build import study_report
from edgefair.study.findings.folder import read_study
from edgefair.study.run.given import open_plan
from edgefair.study.run.study import run_study

PIXELS, SUBJECTS, EMOTIONS = 24, 24, range(1, 8)
EXTENTS = ["none", "finetune-only", "int8", "sparsity 0.6", "cluster 4"]


def face(emotion, darkness, rng):
    """Noise on eyes and a mouth, whose curve and opening are the emotion's; 0 is neutral."""
    picture = Image.new("L", (PIXELS, PIXELS), 200)
    draw = ImageDraw.Draw(picture)
    for x in (7, 16):
        draw.ellipse([x - 1, 7 - emotion % 3, x + 1, 9], fill=darkness)
    curve, opening = emotion % 4, emotion // 4
    turned = 0 if emotion % 2 else 180
    draw.arc([6, 14 - curve, 17, 16 + curve + 3 * opening], turned, turned + 180, fill=0)
    noisy = np.asarray(picture) + rng.normal(0, 8, (PIXELS, PIXELS))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def ck_plus(folder):
    """327 sequences in small: of every subject two, a neutral first frame that grows into its emotion."""
    rng, sexes = np.random.default_rng(0), ["subject,gender"]
    for subject in range(SUBJECTS):
        name, sex = f"S{subject:03d}", ("female", "male")[subject % 2]
        sexes.append(f"{name},{sex}")
        for number, emotion in enumerate(rng.choice(EMOTIONS, 2, replace=False), 1):
            frames = folder / "cohn-kanade-images" / name / f"{number:03d}"
            labels = folder / "Emotion" / name / f"{number:03d}"
            for place in (frames, labels):
                place.mkdir(parents=True)
            for frame in range(1, 6):
                shown = face(emotion if frame > 2 else 0, 10 * frame + 40 * (sex == "male"), rng)
                shown.save(frames / f"{name}_{number:03d}_{frame:08d}.png")
            (labels / f"{name}_{number:03d}_{5:08d}_emotion.txt").write_text(f"   {float(emotion):.7e}\n")
    (folder / "subjects.csv").write_text("\n".join(sexes) + "\n")
    return folder


@pytest.mark.long
def test_the_paper_is_run_by_one_command_and_its_published_means_stand_beside(tmp_path):
    small = {
        "data.source": str(ck_plus(tmp_path / "ck")),
        "model.picture": {"height": PIXELS, "width": PIXELS, "channels": 1},
        "data.validation": 0.3,
        "train.epochs": 1,
        "plan.seeds": 2,
        "plan.factors.extent": EXTENTS,
        "plan.factors.treatment": ["none", "during"],
        "plan.parts": [{"treatment": "none"}, {"extent": "finetune-only"}],
    }
    given = open_plan("fer-paper", small)
    done = run_study(given, tmp_path / "out")
    assert done.failed == {}
    plan, rows = read_study(tmp_path / "out")
    assert len(rows) == len(plan.cells) == 2 * (5 + 1)
    by = {(row.extent, row.treatment, row.seed): row for row in rows}
    # three peaks and the neutral frame of every sequence; 8 classes; subjects kept apart
    assert {row.network for row in rows} == {"fer-cnn"}
    assert all(0 < row.rows < 8 * SUBJECTS and len(json.loads(row.counts)["classes"]) == 8 for row in rows)
    recipes = {name: json.loads(by[name, "none", 0].recipe) for name in EXTENTS}
    assert recipes["sparsity 0.6"]["sparsity"]["schedule"] == "constant"
    assert recipes["cluster 4"]["cluster"]["centroids"] == "linear"
    # zipped, a clustered file is far smaller than the dense one, and otherwise as large
    dense, clustered = by["none", "none", 0], by["cluster 4", "none", 0]
    assert clustered.packed_bytes < 0.3 * dense.packed_bytes < dense.bytes
    assert abs(clustered.bytes / dense.bytes - 1) < 0.01

    report = study_report(plan, rows)
    published = {(item.extent, item.what): item for item in report.published}
    baseline = published["none", "accuracy of male minus that of female"]
    assert (baseline.published, baseline.found.seeds) == (0.024, 2)
    assert published["sparsity 0.6", "accuracy of male minus that of female"].published == -0.077
    assert published["int8", "accuracy"].found.value == pytest.approx(
        np.mean([by["int8", "none", seed].accuracy for seed in (0, 1)])
    )
    assert {item.extent for item in report.published} == {"none", "int8", "sparsity 0.6", "cluster 4"}
    text = html.unescape("\n".join(lines(report, "")))
    assert "Stoychev" in text
    assert "| sparsity 0.6 | accuracy of male minus that of female | -7.7 |" in text
