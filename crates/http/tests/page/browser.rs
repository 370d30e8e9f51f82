//! A person who only follows links and sends forms that are on the page, and counts how often.

use axum::{body::Body, http::Request};

use crate::{
    answer::Answer,
    markup::{Form, Kind, Link, Markup},
    support::{MOUNT, World},
};

pub struct Browser<'w> {
    world: &'w World,
    who: &'w str,
    page: Answer,
    clicks: usize,
}

impl<'w> Browser<'w> {
    /// Opens the page itself. That is where everything begins, and no click.
    pub async fn open(world: &'w World, who: &'w str) -> Self {
        let page = world.get(who, "").await;
        page.is(200);
        Self { world, who, page, clicks: 0 }
    }

    /// Opens the page again, later.
    pub async fn come_back(&mut self) {
        self.page = self.world.get(self.who, "").await;
    }

    /// How many links were followed and forms sent.
    pub fn clicks(&self) -> usize {
        self.clicks
    }

    pub fn page(&self) -> &Answer {
        &self.page
    }

    /// Follows the first link with this text.
    pub async fn follow(&mut self, text: &str) -> &Answer {
        self.follow_near("", text).await
    }

    /// Follows the link with this text in the row that has the other text.
    pub async fn follow_near(&mut self, near: &str, text: &str) -> &Answer {
        let link = self.link(near, text);
        self.page = self.ask(&link.href).await;
        self.page.is(200);
        &self.page
    }

    /// Downloads what a link leads to. The page stays.
    pub async fn download(&mut self, text: &str) -> Answer {
        let link = self.link("", text);
        self.ask(&link.href).await
    }

    /// Where a link to another page of the service leads.
    pub fn leave(&mut self, text: &str) -> String {
        self.clicks += 1;
        self.link("", text).href
    }

    fn link(&self, near: &str, text: &str) -> Link {
        let links = Markup::of(&self.page.body).links;
        let found = links.iter().find(|link| link.text == text && (near.is_empty() || link.near.contains(near)));
        found.cloned().unwrap_or_else(|| panic!("no link {text:?} near {near:?} in {}\n{links:#?}", self.page.text()))
    }

    async fn ask(&mut self, href: &str) -> Answer {
        self.clicks += 1;
        let path = href.strip_prefix(MOUNT).unwrap_or_else(|| panic!("{href} leads away"));
        self.world.get(self.who, path).await
    }

    /// Presses the button with this text, with these fields of its form filled in. A value for a box ticks it.
    pub async fn submit(&mut self, button: &str, fields: &[(&str, &str)]) -> &Answer {
        self.clicks += 1;
        let forms = Markup::of(&self.page.body).forms;
        let found = forms.iter().find_map(|form| {
            form.buttons.iter().find(|one| one.text == button).map(|pressed| (form.clone(), pressed.clone()))
        });
        let (mut form, pressed) =
            found.unwrap_or_else(|| panic!("no button {button:?} in {}\n{forms:#?}", self.page.text()));
        for (name, value) in fields {
            fill(&mut form, name, value);
        }
        let mut sent: Vec<(String, String)> = form
            .controls
            .iter()
            .filter(|field| field.is_on)
            .map(|field| (field.name.clone(), field.value.clone()))
            .collect();
        if !pressed.name.is_empty() {
            sent.push((pressed.name, pressed.value));
        }
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let path = form.action.strip_prefix(MOUNT).unwrap_or_else(|| panic!("{} leads away", form.action)).to_owned();
        let mut answer = if form.is_post {
            self.world.post(self.who, &path, &sent).await
        } else {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&sent).finish();
            self.world.get(self.who, &format!("{path}?{query}")).await
        };
        while answer.status == 303 {
            let location = answer.header("location").unwrap().to_owned();
            let request = Request::get(&location).header("x-user", self.who).body(Body::empty()).unwrap();
            answer = self.world.send(request, false).await;
        }
        self.page = answer;
        &self.page
    }
}

/// Fills a field in that the form has, with a value that it can have.
fn fill(form: &mut Form, name: &str, value: &str) {
    let fields: Vec<_> = form.controls.iter_mut().filter(|field| field.name == name).collect();
    assert!(!fields.is_empty(), "the form has no field {name}");
    let mut is_done = false;
    for field in fields {
        match field.kind {
            Kind::Hidden => panic!("{name} is hidden"),
            Kind::Text => {
                value.clone_into(&mut field.value);
                is_done = true;
            }
            Kind::Check if field.value == value => {
                field.is_on = true;
                is_done = true;
            }
            Kind::Check => {}
            Kind::Radio => {
                field.is_on = field.value == value;
                is_done |= field.is_on;
            }
            Kind::Select => {
                assert!(field.options.iter().any(|option| option == value), "{name} has no option {value}");
                value.clone_into(&mut field.value);
                is_done = true;
            }
        }
    }
    assert!(is_done, "{name} cannot be {value}");
}
