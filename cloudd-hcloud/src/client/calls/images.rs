//! `/images`.

use serde::Serialize;

use super::super::filter::ImageFilter;
use super::super::request::{Call, Repeat, Request};
use super::Page;
use super::envelope::{action, deletion, list, object, page};
use crate::schema::{Action, Image, ImageId, UpdateImage};

object!(image, image: Image);
list!(images, images: Image);
list!(image_actions, actions: Action);

pub(in crate::client) fn read(id: ImageId) -> Call<Image> {
    Call { request: Request::get(format!("/images/{id}"), format!("read image {id}")), read: image }
}

pub(in crate::client) fn list(filter: &ImageFilter, number: u32) -> Call<Page<Image>> {
    let request = filter.apply(Request::get("/images", "list images"));
    Call { request: page(request, number), read: images }
}

pub(in crate::client) fn update(id: ImageId, body: &UpdateImage) -> Call<Image> {
    let request = Request::put(format!("/images/{id}"), format!("update image {id}")).json(body);
    Call { request, read: image }
}

pub(in crate::client) fn delete(id: ImageId) -> Call<Option<Action>> {
    Call {
        request: Request::delete(format!("/images/{id}"), format!("delete image {id}")),
        read: deletion,
    }
}

/// All actions of an image, ended ones too, oldest first.
pub(in crate::client) fn actions(id: ImageId, number: u32) -> Call<Page<Action>> {
    let request =
        Request::get(format!("/images/{id}/actions"), format!("list the actions of image {id}"));
    Call { request: page(request, number), read: image_actions }
}

/// Sets or lifts the deletion protection. Setting it twice is setting it.
pub(in crate::client) fn protect(id: ImageId, protection: DeleteProtection) -> Call<Action> {
    #[derive(Serialize)]
    struct Body {
        delete: bool,
    }
    let path = format!("/images/{id}/actions/change_protection");
    let request =
        Request::post(path, format!("change the protection of image {id}"), Repeat::Freely)
            .json(&Body { delete: protection == DeleteProtection::On });
    Call { request, read: action }
}

/// Whether an image can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteProtection {
    /// A deletion is refused.
    On,
    /// A deletion is carried out.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Architecture, ImageStatus, ImageType, Selector};

    #[test]
    fn base_images_are_asked_for_by_type_status_label_and_architecture() {
        let filter = ImageFilter::new()
            .kind(ImageType::Snapshot)
            .kind(ImageType::Backup)
            .status(ImageStatus::Available)
            .selector(Selector::new().exists("cloudd/name"))
            .architecture(Architecture::X86);
        let query = list(&filter, 1).request.query;
        let expected = [
            ("type", "snapshot"),
            ("type", "backup"),
            ("status", "available"),
            ("label_selector", "cloudd/name"),
            ("architecture", "x86"),
            ("sort", "id:asc"),
            ("page", "1"),
            ("per_page", "50"),
        ];
        assert_eq!(query, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn protection_is_a_flag_on_the_wire() {
        let request = protect(ImageId(7), DeleteProtection::On).request;
        assert_eq!(request.path, "/images/7/actions/change_protection");
        assert_eq!(request.body.as_deref(), Some(r#"{"delete":true}"#));
    }
}
