import json
import subprocess
import sys

import numpy as np
import pytest

from kerastickets.errors import RecipeError
from kerastickets.foundations.duration import Duration
from kerastickets.training.recipe import Recipe, TrainSettings, schedule_points


def test_defaults():
    assert Recipe().describe() == {
        "train": "20ep",
        "train_size": None,
        "eval_every": "1ep",
        "patience": None,
        "monitor": "val_accuracy",
        "keep": "best",
        "batch_size": 60,
        "optimizer": "adam",
        "lr": None,
        "epsilon": None,
        "momentum": None,
        "weight_decay": None,
        "l1": 0.0,
        "l2": 0.0,
        "lr_schedule": "constant",
        "warmup": "0it",
        "augment": "none",
        "jit": "auto",
    }


def test_every_dial_has_its_keyword():
    assert (
        TrainSettings.__annotations__.keys()
        == Recipe(eval_batch_size=10, no_test=True, distil=0.5).describe().keys()
    )


def test_text_numbers_and_durations_are_one_recipe():
    assert Recipe(train="500it", warmup=10) == Recipe(train=500, warmup=Duration(10, "it"))
    exact = Recipe(lr=1, l2=np.float64(0.5), epsilon=np.float32(0.25))
    assert exact.describe() == Recipe(lr=1.0, l2=0.5, epsilon=0.25).describe()
    assert json.loads(json.dumps(exact.describe())) == exact.describe()


def test_a_whole_training_split_is_one_recipe_and_a_count_is_no_share():
    assert Recipe(train_size=1.0) == Recipe()
    assert Recipe(train_size=1).train_size == 1
    assert Recipe(train_size=np.int64(50)).describe()["train_size"] == 50
    assert Recipe.of({"train_size": 1.0}, {"train_size": 0.25}) == Recipe()


def test_a_description_makes_the_recipe_again():
    recipe = Recipe(train="500it", optimizer={"class_name": "SGD", "config": {}}, lr=0.1, patience=4)
    assert Recipe(**json.loads(json.dumps(recipe.describe()))) == recipe


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"train": "0it"}, "`train` must be at least one iteration. Received: train=0it"),
        ({"train": "20"}, "like '500it' or '20ep'. Received: '20'"),
        ({"train": None}, "Received: None"),
        ({"train": -1}, "Received: count=-1"),
        ({"eval_every": 0}, "`eval_every` must be at least one iteration. Received: eval_every=0it"),
        ({"warmup": "1 ep"}, "Received: '1 ep'"),
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: batch_size=0"),
        ({"batch_size": 2.0}, "Received: batch_size=2.0"),
        ({"batch_size": True}, "Received: batch_size=True"),
        ({"patience": 0}, "`patience` must be at least 1, or none. Received: patience=0"),
        ({"monitor": "accuracy"}, "`monitor` must start with 'val_'. Received: monitor=accuracy"),
        ({"monitor": None}, "Received: monitor=None"),
        ({"keep": "worst"}, "`keep` must be 'best' or 'last'. Received: keep=worst"),
        ({"jit": True}, "`jit` must be 'auto', 'on' or 'off'. Received: jit=True"),
        ({"lr": 0.0}, "`lr` must be positive and finite. Received: lr=0.0"),
        ({"lr": -0.1}, "Received: lr=-0.1"),
        ({"lr": float("nan")}, "Received: lr=nan"),
        ({"lr": "0.1"}, "Received: lr='0.1'"),
        ({"epsilon": -1e-8}, "`epsilon` must be at least 0 and finite. Received: epsilon=-1e-08"),
        ({"momentum": float("inf")}, "Received: momentum=inf"),
        ({"weight_decay": True}, "Received: weight_decay=True"),
        ({"l1": None}, "Received: l1=None"),
        ({"l2": -1}, "Received: l2=-1"),
        ({"optimizer": object}, "`optimizer` must be a name, or a config as keras.optimizers.serialize"),
        ({"optimizer": {"config": {}}}, "Received: optimizer={'config': {}}"),
        (
            {"train_size": 0},
            "`train_size` must be a count of at least 1, or a fraction above 0 and up to 1.0",
        ),
        ({"train_size": 1.5}, "Received: train_size=1.5"),
        ({"train_size": 0.0}, "Received: train_size=0.0"),
        ({"train_size": True}, "Received: train_size=True"),
        ({"train_size": "0.5"}, "Received: train_size='0.5'"),
        ({"train_size": float("nan")}, "Received: train_size=nan"),
        ({"augment": None}, "`augment` must be none, flip, crop:4"),
        ({"augment": "flip+rotate"}, "Received: augment='flip+rotate'"),
        ({"lr_schedule": None}, "Received: lr_schedule=None"),
        ({"lr_schedule": "cos"}, "Received: lr_schedule='cos'"),
        ({"lr_schedule": "cosine:3"}, "Received: lr_schedule='cosine:3'"),
        ({"lr_schedule": "exponential"}, "Received: lr_schedule='exponential'"),
        ({"lr_schedule": "exponential:-1"}, "Received: lr_schedule='exponential:-1'"),
        ({"lr_schedule": "exponential:nan"}, "Received: lr_schedule='exponential:nan'"),
        ({"lr_schedule": "steps:"}, "Received: lr_schedule='steps:'"),
        ({"lr_schedule": "steps:10ep"}, "Received: lr_schedule='steps:10ep'"),
        ({"lr_schedule": "steps:10ep=x"}, "Received: lr_schedule='steps:10ep=x'"),
        ({"lr_schedule": "steps:10=0.1"}, "Received: '10'"),
    ],
    ids=str,
)
def test_a_dial_out_of_range_is_named_with_what_was_received(dials, message):
    with pytest.raises(RecipeError) as caught:
        Recipe(**dials)
    assert message in str(caught.value)
    assert "Received: " in str(caught.value)


def test_an_unknown_dial_suggests_the_nearest():
    with pytest.raises(
        RecipeError, match=r"No training setting named 'batchsize'. Did you mean 'batch_size'\?"
    ):
        Recipe.of({"batchsize": 3})
    with pytest.raises(
        RecipeError,
        match=r"No training setting named 'xyz'. Settings: augment, batch_size, distil, epsilon, ",
    ):
        Recipe.of({}, {"xyz": 3})


def test_the_callers_dials_win_over_the_models_and_those_over_defaults():
    recipe = Recipe.of({"batch_size": 32}, {"batch_size": 60, "lr": 1e-3})
    assert (recipe.batch_size, recipe.lr, recipe.keep) == (32, 1e-3, "best")


def test_another_optimizer_leaves_the_dials_of_the_models_own_behind():
    model = {"optimizer": "adam", "lr": 1.2e-3, "epsilon": 1e-8, "batch_size": 60}
    assert (
        Recipe.of({"optimizer": "sgd"}, model).describe() | {}
        == Recipe(optimizer="sgd", batch_size=60).describe()
    )
    assert Recipe.of({"optimizer": "Adam"}, model).epsilon == 1e-8
    config = {"class_name": "Adam", "config": {}}
    assert Recipe.of({"optimizer": config}, model).lr == 1.2e-3
    assert Recipe.of({"optimizer": "sgd", "lr": 0.5}, model).lr == 0.5
    assert Recipe.of({"lr": 0.5}, model).optimizer == "adam"


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("constant", ()),
        ("cosine", ()),
        ("linear", ()),
        ("exponential:0.95", ((Duration(1, "ep"), 0.95),)),
        ("steps:10ep=0.1,500it=1e-2", ((Duration(10, "ep"), 0.1), (Duration(500, "it"), 0.01))),
    ],
)
def test_schedules_are_read(text, points):
    assert schedule_points(text) == (text.partition(":")[0], points)


@pytest.mark.parametrize(
    ("monitor", "minimise"),
    [
        ("val_accuracy", False),
        ("val_auc", False),
        ("val_f1_score", False),
        ("val_loss", True),
        ("val_mse", True),
        ("val_mean_absolute_error", True),
        ("val_sparse_categorical_crossentropy", True),
        ("val_squared_hinge", True),
        ("val_kl_divergence", True),
        ("val_rmse", True),
    ],
)
def test_losses_and_errors_are_minimised(monitor, minimise):
    assert Recipe(monitor=monitor).minimise is minimise


def test_recipes_and_methods_need_no_tensorflow():
    code = (
        "import sys; from kerastickets.training.recipe import Recipe; from kerastickets.pruning.method import Method; "
        "Recipe(lr=0.1); Method.of('magnitude', {}); print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
