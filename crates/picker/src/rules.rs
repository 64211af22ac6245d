//! What a pool's owner says of models and of whose requests come first: `InferenceObjective` and
//! `InferenceModelRewrite` of Kubernetes, or flags.

use std::collections::HashMap;

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Priorities by the objective's name; higher ones come first, those under 0 may be shed.
    pub objectives: HashMap<String, i32>,
    /// Rewrites, oldest object first, in the order in which they are written.
    pub rewrites: Vec<Rewrite>,
}

/// Requests for these models are for others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rewrite {
    /// Models that it is about; empty: all.
    pub models: Vec<String>,
    /// What they become.
    pub targets: Vec<Target>,
}

/// A model and how often it is taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// Its name.
    pub model: String,
    /// Its share, beside the others'; `None`: it has none where another has one.
    pub weight: Option<u32>,
}

impl Rules {
    /// The priority of an objective; 0 where it is not known.
    pub fn priority(&self, objective: Option<&str>) -> i32 {
        let known = objective.and_then(|name| self.objectives.get(name));
        known.copied().unwrap_or(0)
    }

    /// What a model is rewritten to, if it is. Rules that name it come before those for all.
    pub fn target(&self, model: &str, chance: u64) -> Option<&str> {
        let names = |rule: &&Rewrite| rule.models.iter().any(|name| name == model);
        let all = |rule: &&Rewrite| rule.models.is_empty();
        let named = self.rewrites.iter().find(names);
        let rule = named.or_else(|| self.rewrites.iter().find(all))?;
        rule.pick(chance).map(|target| target.model.as_str())
    }
}

impl Rewrite {
    /// One of the targets, by weight; evenly where none has any.
    fn pick(&self, chance: u64) -> Option<&Target> {
        let weight = |target: &Target| u64::from(target.weight.unwrap_or(0));
        let total: u64 = self.targets.iter().map(weight).sum();
        let Some(mut left) = chance.checked_rem(total) else {
            let place = chance.checked_rem(self.targets.len() as u64)?;
            return self.targets.get(usize::try_from(place).ok()?);
        };
        self.targets.iter().find(|target| {
            let weight = weight(target);
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(model: &str, weight: Option<u32>) -> Target {
        Target {
            model: model.into(),
            weight,
        }
    }

    fn rewrite(models: &[&str], targets: &[Target]) -> Rewrite {
        Rewrite {
            models: models.iter().map(ToString::to_string).collect(),
            targets: targets.to_vec(),
        }
    }

    #[test]
    fn rules_that_name_a_model_come_before_those_for_all_and_older_before_newer() {
        let rules = Rules {
            rewrites: vec![
                rewrite(&[], &[target("all", None)]),
                rewrite(&["a", "b"], &[target("older", None)]),
                rewrite(&["a"], &[target("newer", None)]),
            ],
            ..Rules::default()
        };
        assert_eq!(rules.target("a", 7), Some("older"));
        assert_eq!(rules.target("c", 7), Some("all"));
        assert_eq!(Rules::default().target("a", 7), None);
    }

    #[test]
    fn targets_are_taken_by_weight() {
        let count = |targets: &[Target]| {
            let rule = rewrite(&[], targets);
            let taken = |name: &str| {
                (0..100)
                    .filter(|chance| rule.pick(*chance).is_some_and(|t| t.model == name))
                    .count()
            };
            (taken("a"), taken("b"))
        };
        assert_eq!(
            count(&[target("a", Some(30)), target("b", Some(70))]),
            (30, 70)
        );
        assert_eq!(
            count(&[target("a", None), target("b", None)]),
            (50, 50),
            "none has any: evenly"
        );
        assert_eq!(
            count(&[target("a", None), target("b", Some(1))]),
            (0, 100),
            "unweighted ones never"
        );
        assert_eq!(
            count(&[target("a", Some(0)), target("b", Some(0))]),
            (50, 50)
        );
        assert_eq!(count(&[]), (0, 0));
    }

    #[test]
    fn an_objective_that_nobody_knows_is_of_priority_0() {
        let rules = Rules {
            objectives: [("batch".to_owned(), -1)].into(),
            ..Rules::default()
        };
        assert_eq!(rules.priority(Some("batch")), -1);
        assert_eq!(rules.priority(Some("other")), 0);
        assert_eq!(rules.priority(None), 0);
    }
}
