import inspect

import numpy as np

from tests.generators import make_generator
from tests.support import random_image
from tfvqgen.app.cells import Cells
from tfvqgen.app.model import WorkdirModel
from tfvqgen.app.studio import Studio
from tfvqgen.generation.saved_model import INPUTS


def rows(seeds):
    one = np.ones(len(seeds), np.float32)
    return {
        "seed": np.int64(seeds),
        "temperature": one,
        "top_p": one,
        "guidance": one / 2,
    }


def test_a_workdir_answers_as_its_generator():
    generator = make_generator()
    model = WorkdirModel(generator)
    labels = np.float32([[0, 1, 0], [0, 0, 0]])
    how = rows([3, 4])
    made = model.ask("generate_multilabel", labels=labels, **how)
    wanted = generator.generate(labels, *how.values())
    np.testing.assert_array_equal(made["image"], wanted.image)
    image = random_image((2, 16, 16, 3))
    np.testing.assert_array_equal(
        model.ask("reconstruct", image=image)["image"], generator.reconstruct(image)
    )
    mask = np.ones((2, 16, 16), np.float32)
    mask[:, :, 8:] = 0
    class_id = np.int32([1, -1])
    made = model.ask("complete", image=image, mask=mask, class_id=class_id, **how)
    wanted = generator.complete(image, mask, labels, *how.values())
    np.testing.assert_array_equal(made["image"], wanted.image)
    np.testing.assert_array_equal(made["top_codes"], wanted.top_codes)


def test_portions_of_cells_are_those_of_one_request():
    studio = Studio(WorkdirModel(make_generator()), Cells())
    how = {"labels": [], "temperature": 1, "top_p": 1, "guidance": 0}

    def images(seed, count):
        answer = studio.draw({**how, "seed": seed, "count": count})
        return [studio.cells.get(cell["id"]).image for cell in answer["cells"]]

    np.testing.assert_array_equal(images(0, 2) + images(2, 3), images(0, 5))


def test_an_export_is_asked_for_the_same():
    model = WorkdirModel(make_generator())
    for name, function in model._signatures.items():
        inputs = inspect.signature(function.python_function).parameters
        assert tuple(inputs) == INPUTS[name]
