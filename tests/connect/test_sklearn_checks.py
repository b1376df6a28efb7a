"""Everything that scikit-learn asks of an estimator."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from lifelong import MLP, ContinualClassifier, Recipe


@parametrize_with_checks([ContinualClassifier(model=Recipe(MLP, width=16, depth=1), epochs=40, random_state=0)])
def test_scikit_learn_is_content(estimator, check):
    check(estimator)
