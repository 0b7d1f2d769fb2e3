"""The ids and their groups, spelled out a second time."""

from data import labels


def test_the_groups_hold_the_ids_of_the_method():
    assert set(labels.CLOTH) == {4, 7}
    assert set(labels.FACE) == {1, 12}
    assert set(labels.OTHERS) == {5, 6, 8, 9, 10}
    assert set(labels.ARMS) == {11, 13}
    assert set(labels.DENSEPOSE_HANDS) == {3, 4}
    assert set(labels.DENSEPOSE_ARMS) == set(range(15, 23))


def test_the_ids_have_no_gaps():
    assert [int(label) for label in labels.Parsing] == list(range(14))
    assert [int(part) for part in labels.DensePosePart] == list(range(25))
    assert labels.KEY_POINTS == 18


def test_no_parsing_id_is_in_two_groups():
    grouped = [*labels.CLOTH, *labels.FACE, *labels.OTHERS, *labels.ARMS]
    assert len(grouped) == len(set(grouped))


def test_the_members_are_named_for_what_they_show():
    assert all('ARM' in part.name for part in labels.DENSEPOSE_ARMS)
    assert all('HAND' in part.name for part in labels.DENSEPOSE_HANDS)
    assert all('OTHER_CLOTHES' in label.name for label in labels.OTHERS)
